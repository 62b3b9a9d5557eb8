"""The model card: whole, and what must never be in it."""

import re
import shutil
import sys
from contextlib import contextmanager
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard, constants
from transformers import AutoTokenizer, Trainer, TrainingArguments, pipeline, set_seed
from transformers.trainer_utils import PredictionOutput

from sentence_ordering import (
    AutoModelForSentenceOrdering,
    DataCollatorForSentenceOrdering,
    ShuffledDocuments,
    __version__,
    compute_metrics,
    prepare_dataset,
)
from sentence_ordering.model.adapter import locate_encoder
from sentence_ordering.orderers import locate_orderer
from sentence_ordering.training.model_card import _find_origin, write_model_card
from sentence_ordering.training.positions import share_positions

ENCODER = "user/tiny-encoder"
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
NUMBERS = {
    "<metric>": r"-?\d\.\d{3}",
    "<value>": r"-?\d\.\d{1,4}",
    "<score>": r" *-?\d+\.\d\d",
    "<time>": r"0:\d\d:\d\d",
    "<line>": r"\S.*",
}


@contextmanager
def in_hub_cache(folder, name, card=""):
    """Lay a folder out as a repository in the Hub's cache."""
    repository = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / ("0" * 40)
    shutil.copytree(folder, snapshot)
    (snapshot / "README.md").write_text(card)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(snapshot.name)
    yield name
    shutil.rmtree(repository)


@pytest.fixture(scope="module")
def hub_encoder(encoder_folder):
    """The tiny encoder on the Hub, with a card that names its licence."""
    with in_hub_cache(encoder_folder, ENCODER, card="---\nlicense: mit\n---\n") as name:
        yield name


def make_trainer(encoder, output, documents, fields=None, **arguments):
    set_seed(0)
    model = AutoModelForSentenceOrdering.from_pretrained(encoder, **(fields or {}))
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    prepared = prepare_dataset(documents, tokenizer, model.config)
    defaults = {"train_sampling_strategy": "sequential", "per_device_train_batch_size": 4, "report_to": "none"}
    defaults |= {"use_cpu": True, "disable_tqdm": True, "max_steps": 3, "dataloader_pin_memory": False}
    return Trainer(
        model,
        TrainingArguments(str(output), **defaults | arguments),
        train_dataset=ShuffledDocuments(prepared.select(range(40)), model.config),
        eval_dataset=prepared.select(range(40, 60)),
        data_collator=DataCollatorForSentenceOrdering(tokenizer, model.config),
        processing_class=tokenizer,
        compute_metrics=compute_metrics,
    )


@pytest.fixture(scope="module")
def trained(hub_encoder, documents, tmp_path_factory):
    """A trainer that has trained for three steps and saved its model, and what it predicts for held-out documents."""
    folder = tmp_path_factory.mktemp("output") / "tiny-orderer"
    trainer = make_trainer(hub_encoder, folder, documents, learning_rate=2e-4, warmup_steps=1, seed=7)
    trainer.train()
    trainer.save_model()
    return trainer, trainer.predict(trainer.eval_dataset)


EXPECTED = """\
---
base_model: user/tiny-encoder
datasets:
- user/stories
language: en
library_name: transformers
license: apache-2.0
tags:
- sentence-ordering
model-index:
- name: tiny-orderer
  results:
  - task:
      type: sentence-ordering
      name: Sentence ordering
    dataset:
      name: user/stories
      type: user/stories
      split: test
    metrics:
    - type: kendall_tau
      value: <value>
      name: Kendall's tau
    - type: pmr
      value: <value>
      name: perfect match ratio
    - type: accuracy
      value: <value>
      name: accuracy
---

# tiny-orderer

This model puts the shuffled sentences of one document back into their order. It reads them in a single pass of an
encoder (`bert`) if they fit into its 256 tokens, gives every sentence a score, and sorts by the scores: the answer
is always a permutation of what was given.

## Usage

With the package `sentence-ordering` installed:

```python
import sentence_ordering
from transformers import pipeline

order = pipeline("sentence-ordering", model="user/tiny-orderer")  # this repository's id, or a folder with its files
order(["Then he ate it.", "So he bought a cake.", "Tom was hungry."])
```

Without it, with transformers alone, which then runs the code that lies beside the weights:

```python
from transformers import pipeline

order = pipeline("sentence-ordering", model="user/tiny-orderer", trust_remote_code=True)
order(["Then he ate it.", "So he bought a cake.", "Tom was hungry."])
```

Of the answer, `order`, `sentences` and `scores` are in reading order, where `order[k]` is the index of the input
sentence that is read k-th; `positions[i]` is the place of input sentence i, counted from 0.
It tells no `confidence`, which was not fitted.

## Example

Given these sentences, of a document that it was not trained on,

```text
{given}
```

this model answers, in reading order, beside the place (from 1) where each sentence belongs:

```text
score  place  sentence
{answer}
```

## Model

Training started from [user/tiny-encoder](https://huggingface.co/user/tiny-encoder).

| setting | value |
|---|---|
| encoder | `bert` |
| parameters | 44,640 |
| sentence token | `[CLS]` |
| longest document | 256 tokens |
| `pooling` | cls |
| `head_dropout` | 0.0 |
| `loss_type` | mse |
| `loss_reduction` | sentence |
| `scale_positions` | positions from 0 to n - 1 |

## Training

It was trained on 40 documents of {shortest} to {longest} sentences: \
[user/stories](https://huggingface.co/datasets/user/stories). Their sentences were shuffled anew in every epoch.

| setting | value |
|---|---|
| epochs | 0.3 |
| steps | 3 |
| documents per step | 4 |
| learning rate | 0.0002 |
| schedule | linear |
| warm-up steps | 1 |
| optimizer | adamw_torch_fused, weight decay 0 |
| precision | float32 |
| seed | 7 |
| hardware | <line> (torch threads: 1) |
| time (h:mm:ss) | <time> |
| software | {software} |

## Evaluation

On the 20 documents of the split `test`, beside what random orders reach on them (mean of 100
draws).

| metric | this model | random orders |
|---|---|---|
| Kendall's tau | {kendall_tau:.3f} | <metric> |
| perfect match ratio | {pmr:.3f} | <metric> |
| accuracy | {accuracy:.3f} | <metric> |
| Spearman's rho | {spearman:.3f} | <metric> |
| LCS ratio | {lcs:.3f} | <metric> |
| first sentence right | {first:.3f} | <metric> |
| last sentence right | {last:.3f} | <metric> |
| neighbours right | {adjacent:.3f} | <metric> |
| moves needed | {moves:.3f} | <metric> |
| places off | {displacement:.3f} | <metric> |

Where the model puts the parts of these documents; the diagonal is right:

![Heat map of predicted against true positions](positions.png)

## Limits

- Length: it reads up to 256 tokens at once, one in front of every sentence included. Longer documents are
  ordered in windows, by the votes of their parts; in training their longest sentences were shortened. No sentence is
  dropped.
  It was trained on no more than {longest} sentences at a time, and measured on no more than {measured}.
- Domain: it has learned what order is from the documents that it was trained on; measure it before you use it on
  others.
- Language: `en` is what the documents are written in.

## Licence

This model: apache-2.0.

The model that training started from: mit.

## Citation

One special token in front of every sentence, and all sentences in one pass, is the layout of BERT4SO:

```bibtex
@misc{{zhu2021bert4so,
  title = {{{{BERT4SO}}: Neural Sentence Ordering by Fine-tuning {{BERT}}}},
  author = {{Zhu, Yutao and Nie, Jian-Yun and Zhou, Kun and Liu, Shengchao and Ling, Yabo and Du, Pan}},
  year = {{2021}},
  eprint = {{2103.13584}},
  archivePrefix = {{arXiv}},
}}
```

The package:

```bibtex
@software{{sentence_ordering,
  title = {{sentence-ordering}},
  author = {{{{The sentence-ordering authors}}}},
  version = {{{version}}},
  year = {{2026}},
}}
```
"""


def test_whole_card(trained, stories):
    trainer, evaluation = trained
    folder, story = trainer.args.output_dir, stories[45]
    write_model_card(
        trainer,
        folder,
        evaluation=evaluation,
        split="test",
        example=story,
        dataset="user/stories",
        language="en",
        license="apache-2.0",
    )
    card = (Path(folder) / "README.md").read_text(encoding="utf-8")
    given = re.search(r"not trained on,\n\n```text\n(.*?)\n```", card, re.S)[1].split("\n")
    assert sorted(given) == sorted(f'"{sentence}"' for sentence in story)
    answer = pipeline("sentence-ordering", model=folder)([line.strip('"') for line in given])["sentences"]
    versions = [f"{name} {version(name)}" for name in ("transformers", "torch", "datasets", "tokenizers")]
    counts = [len(story) for story in stories[:60]]
    expected = EXPECTED.format(
        given="\n".join(given),
        answer="\n".join(f'<score>  {story.index(sentence) + 1:5}  "{sentence}"' for sentence in answer),
        shortest=min(counts[:40]),
        longest=max(counts[:40]),
        measured=max(counts[40:]),
        software=", ".join([f"sentence-ordering {__version__}", *versions]),
        version=__version__,
        **{name.removeprefix("test_"): value for name, value in evaluation.metrics.items()},
    )
    assert_matches(card, expected)


def assert_matches(card, expected):
    """Line by line, for a message that can be read."""
    for line, expected_line in zip_longest(card.split("\n"), expected.split("\n")):
        pattern = re.escape(str(expected_line))
        for placeholder, number in NUMBERS.items():
            pattern = pattern.replace(placeholder, number)
        assert re.fullmatch(pattern, str(line)), f"{line!r} is not {expected_line!r}"


def test_metadata_loads_back(trained):
    trainer, evaluation = trained
    card = write_model_card(trainer, trainer.args.output_dir, evaluation=evaluation, dataset="user/stories")
    loaded = ModelCard.load(Path(trainer.args.output_dir) / "README.md")
    assert loaded.data.to_dict() == card.data.to_dict()
    results = {result.metric_type: result for result in loaded.data.eval_results}
    for name in ("kendall_tau", "pmr", "accuracy"):
        assert results[name].metric_value == round(evaluation.metrics[f"test_{name}"], 4)
        assert results[name].dataset_split == "validation"
    assert (loaded.data.library_name, loaded.data.pipeline_tag) == ("transformers", None)
    assert (loaded.data.tags, loaded.data.base_model) == (["sentence-ordering"], ENCODER)
    assert (loaded.data.language, loaded.data.license) == (None, None)


@pytest.mark.parametrize(
    ("dataset", "datasets", "type_", "language", "text"),
    [
        ("user/stories", ["user/stories"], "user/stories", None, "[user/stories](https://huggingface.co/datasets/user"),
        ("bigbench_narratives", None, "custom", "en", "from [BIG-bench](https://github.com/google/BIG-bench)"),
        ("My letters, https://example.org", None, "custom", None, "sentences: My letters, https://example.org."),
    ],
)
def test_only_a_hub_dataset_is_linked(dataset, datasets, type_, language, text, trained):
    trainer, evaluation = trained
    card = write_model_card(trainer, trainer.args.output_dir, evaluation=evaluation, dataset=dataset)
    assert (card.data.datasets, card.data.language) == (datasets, language)
    assert {(result.dataset_name, result.dataset_type) for result in card.data.eval_results} == {(dataset, type_)}
    assert text in card.text


def test_orderer_that_was_trained_on_is_the_base_model(orderer_folder, documents, tmp_path):
    with in_hub_cache(orderer_folder, "user/orderer", card="---\nlicense: mit\n---\n") as name:
        card = write_model_card(make_trainer(name, tmp_path, documents), tmp_path)
    assert card.data.base_model == "user/orderer"
    assert "The model that training started from: mit." in card.text


@pytest.mark.parametrize(
    ("named", "base_model", "text"),
    [
        ("user/tiny", "user/tiny", "an orderer that was trained before, made from [user/tiny]"),
        ("./secret", None, "an orderer that was trained before."),
        (None, None, "an orderer that was trained before."),
    ],
)
def test_local_orderer_tells_what_it_was_made_from(named, base_model, text, orderer_folder, documents, tmp_path):
    (orderer_folder / "README.md").write_text(
        "---\ntags:\n- sentence-ordering\n" + (f"base_model: {named}\n" if named else "") + "---\n"
    )
    card = write_model_card(make_trainer(orderer_folder, tmp_path / "new", documents), tmp_path)
    assert card.data.base_model == base_model
    assert f"Training started from {text}" in card.text
    assert "secret" not in str(card)


def test_local_copy_of_an_encoder_is_not_what_its_own_card_names(encoder_folder, documents, tmp_path):
    encoder = shutil.copytree(encoder_folder, tmp_path / "encoder")
    (encoder / "README.md").write_text("---\nbase_model: user/older\n---\n")
    card = write_model_card(make_trainer(encoder, tmp_path / "new", documents), tmp_path)
    assert card.data.base_model is None
    assert "Training started from" not in card.text


@pytest.mark.real_weights
@pytest.mark.skipif(locate_encoder(MINILM) == MINILM, reason="the extra `demo` is not installed")
def test_orderer_that_comes_with_the_package_is_named_where_it_was_loaded():
    model = AutoModelForSentenceOrdering.from_pretrained("general")
    assert _find_origin(model.config, None).orderer == "`general`, an orderer that comes with sentence-ordering"


@pytest.mark.parametrize("name", ["general", MINILM])
def test_what_comes_with_a_package_is_named(name, model):
    model.config._name_or_path = locate_orderer(locate_encoder(name))
    origin = _find_origin(model.config, None)
    assert origin.base_model == MINILM
    assert origin.orderer == ("`general`, an orderer that comes with sentence-ordering" if name == "general" else None)


@pytest.mark.parametrize("language", ["en", ["en", "de"]])
def test_every_language_is_named(language, trained, tmp_path):
    card = write_model_card(trained[0], tmp_path, language=language)
    assert card.data.language == language
    assert f"Language: `{'en' if language == 'en' else 'en`, `de'}` is" in card.text


def test_this_folder_has_a_name(trained, tmp_path, monkeypatch):
    (tmp_path / "orderer").mkdir()
    monkeypatch.chdir(tmp_path / "orderer")
    assert "\n# orderer\n" in write_model_card(trained[0], ".").text


def test_bars_in_the_sentence_token_do_not_end_its_cell(model, orderer_folder, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(orderer_folder)
    tokenizer.add_tokens(["<|sentence|>"])
    model.config.sentence_token_id = len(tokenizer) - 1
    trainer = Trainer(model, TrainingArguments(str(tmp_path), use_cpu=True), processing_class=tokenizer)
    assert "\n| sentence token | `<\\|sentence\\|>` |\n" in write_model_card(trainer, tmp_path).text


@pytest.fixture(scope="module")
def local_run(encoder_folder, tmp_path_factory, documents):
    """A working folder, and a trainer whose encoder's relative path could be a Hub id."""
    root = tmp_path_factory.mktemp("root")
    shutil.copytree(encoder_folder, root / "secret" / "encoder")
    (root / "secret" / "corpus").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        trainer = make_trainer("secret/encoder", root / "secret" / "orderer", documents)
        trainer.train()
        trainer.save_model()
    return root, trainer


class TestLocalPaths:
    @pytest.fixture
    def trainer(self, local_run, monkeypatch):
        root, trainer = local_run
        monkeypatch.chdir(root)
        yield trainer
        Path("secret/encoder/README.md").unlink(missing_ok=True)

    @pytest.mark.parametrize("absolute", [False, True])
    @pytest.mark.parametrize("given", [False, True])
    def test_do_not_leak(self, given, absolute, trainer, stories):
        def path(name):
            return str(Path(name).resolve()) if absolute else name

        card = write_model_card(
            trainer,
            path("secret/orderer"),
            evaluation=trainer.predict(trainer.eval_dataset),
            example=stories[45],
            dataset=path("secret/corpus"),
            backbone=path("secret/encoder") if given else None,
        )
        assert "secret" not in str(card)
        assert str(Path.cwd()) not in str(card)
        assert set(card.data.to_dict()) == {"library_name", "tags"}
        assert "# orderer\n" in card.text

    @pytest.mark.parametrize("path", ["/nowhere/secret", "~/secret", "./secret", "../secret"])
    def test_what_looks_like_a_path_does_not_leak(self, path, trainer):
        card = write_model_card(trainer, "secret/orderer", dataset=path, backbone=path)
        assert "secret" not in str(card)

    def test_licence_of_a_local_copy_is_read_from_it(self, trainer):
        Path("secret/encoder/README.md").write_text("---\nlicense: other\nlicense_name: odd-licence\n---\n")
        card = write_model_card(trainer, "secret/orderer", backbone="user/original")
        assert card.data.base_model == "user/original"
        assert "The model that training started from: odd-licence." in card.text

    def test_malformed_card_of_a_local_copy_is_ignored(self, trainer):
        Path("secret/encoder/README.md").write_text("---\nlicense: [\n---\n")
        assert "Licence" not in write_model_card(trainer, "secret/orderer").text


def test_what_is_not_known_is_left_out(model, documents, tokenizer, tmp_path):
    """No training, no evaluation, no tokenizer, no names; the Hub, which might know a licence, is out of reach."""
    prepared = prepare_dataset(documents, tokenizer, model.config)
    arguments = TrainingArguments(str(tmp_path), report_to="none", use_cpu=True, max_steps=1)
    trainer = Trainer(model, arguments, train_dataset=prepared.to_iterable_dataset())
    card = write_model_card(trainer, tmp_path / "orderer", backbone="user/unreachable")
    headings = re.findall(r"^#+ (.*)$", card.text, re.M)
    assert headings == ["orderer", "Usage", "Model", "Limits", "Citation"]
    assert card.data.to_dict() == {
        "base_model": "user/unreachable",
        "library_name": "transformers",
        "tags": ["sentence-ordering"],
    }
    assert not re.search(r"None|nan|Undefined|trained on no more|Language|sentence token|\n\n\n", card.text)


def test_documents_that_do_not_count_are_no_evaluation(trained):
    trainer, _ = trained
    evaluation = PredictionOutput(np.array([[0.5]]), np.array([[0]]), {})
    card = write_model_card(trainer, trainer.args.output_dir, evaluation=evaluation, dataset="user/stories")
    assert "Evaluation" not in card.text
    assert card.data.eval_results is None
    counted = PredictionOutput(np.array([[0.5, -100], [1.0, 0.0]]), np.array([[0, -100], [0, 1]]), {})
    text = write_model_card(trainer, trainer.args.output_dir, evaluation=counted).text
    assert re.search(r"On the 1 documents .* \(mean of 100\ndraws\); 1 of fewer than 2 sentences were left out\.", text)


def test_accumulation_best_weights_early_end_and_resuming_are_told(encoder_folder, documents, tmp_path):
    trainer = make_trainer(
        encoder_folder,
        tmp_path,
        documents,
        {"scale_positions": True},
        gradient_accumulation_steps=2,
        eval_strategy="steps",
        eval_steps=1,
        save_steps=1,
        load_best_model_at_end=True,
        metric_for_best_model="kendall_tau",
        bf16=True,
        resume_from_checkpoint="true",
        hub_model_id="user/orderer",
    )
    trainer.train()
    trainer.state.max_steps = 9
    text = write_model_card(trainer, tmp_path).text
    assert "\n| steps | 3 of 9 planned |\n" in text
    assert "\n| documents per step | 8 (per device: 4, accumulated: 2, devices: 1) |\n" in text
    best = f"step {trainer.state.best_global_step}, the best by `kendall_tau` ({trainer.state.best_metric:.4f})"
    assert f"\n| weights kept | {best} |\n" in text
    assert "\n| precision | float32, bf16 autocast |\n" in text
    assert re.search(r"\n\| time \(h:mm:ss\) \| 0:00:\d\d, since it was resumed \|\n", text)
    assert "\n| `scale_positions` | positions from 0 to 4 |\n" in text
    assert text.startswith("\n# orderer\n")
    assert text.count('model="user/orderer"') == 2


def test_accelerators_are_named_and_counted(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(TrainingArguments, "device", torch.device("cuda:0"))
    monkeypatch.setattr(TrainingArguments, "world_size", 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU of {device}")
    text = write_model_card(trained[0], tmp_path).text
    assert "\n| hardware | 2 x GPU of cuda:0 |\n" in text
    assert "\n| documents per step | 8 (per device: 4, accumulated: 1, devices: 2) |\n" in text


def test_text_of_the_example_stays_text(trained):
    trainer, _ = trained
    story = ["```\n# Not a heading", "{{ name }} | \u00e4"]
    text = write_model_card(trainer, trainer.args.output_dir, example=story).text
    assert "\n# Not" not in text
    assert text.count('"```\\n# Not a heading"') == 2
    assert text.count('"{{ name }} | \u00e4"') == 2


class TestPlot:
    def test_is_a_small_png(self, trained, tmp_path):
        pytest.importorskip("matplotlib")
        trainer, evaluation = trained
        card = write_model_card(trainer, tmp_path, evaluation=evaluation)
        png = (tmp_path / "positions.png").read_bytes()
        assert png.startswith(b"\x89PNG")
        assert int.from_bytes(png[16:20], "big") == 480
        assert len(png) < 60_000
        assert "](positions.png)" in card.text

    def test_is_left_out_without_matplotlib(self, trained, tmp_path, monkeypatch):
        for module in ("matplotlib", "matplotlib.figure"):
            monkeypatch.setitem(sys.modules, module, None)
        trainer, evaluation = trained
        card = write_model_card(trainer, tmp_path, evaluation=evaluation)
        assert "## Evaluation" in card.text
        assert not re.search("png|diagonal|!\\[", card.text)
        assert [path.name for path in tmp_path.iterdir()] == ["README.md"]

    def test_right_orders_are_on_the_diagonal(self):
        labels = np.array([[2, 0, 1, 3, 4], [1, 0, -100, -100, -100], [0, -100, -100, -100, -100]])
        shares = share_positions(np.where(labels == -100, -100.0, labels / 10), labels, bins=10)
        # Each of five sentences covers two bins, each of two sentences five; a tenth holds 0.5 and 0.2 sentences.
        corner, rest = (0.5 / 2 + 0.2 / 5) / 0.7, 0.2 / 5 / 0.7
        assert shares[0] == pytest.approx([corner, corner, rest, rest, rest, 0, 0, 0, 0, 0])
        assert shares[5] == pytest.approx([0, 0, 0, 0, 0.25 / 0.7, corner, rest, rest, rest, rest])
        assert shares.sum(axis=0) == pytest.approx(np.ones(10))

    def test_columns_are_true_and_rows_predicted_positions(self):
        # The sentence that comes first is put last.
        shares = share_positions(np.array([[9.0, 1.0, 2.0]]), np.array([[0, 1, 2]]), bins=3)
        assert shares == pytest.approx(np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]))


def test_predictions_in_batches_are_joined(trained):
    trainer, _ = trained
    scores, labels = np.array([[0.5, 1.5, -100], [2.0, 1.0, 0.0]]), np.array([[0, 1, -100], [0, 1, 2]])
    batches = PredictionOutput([scores[:1, :2], scores[1:]], [labels[:1, :2], labels[1:]], {})
    cards = [
        write_model_card(trainer, trainer.args.output_dir, evaluation=evaluation)
        for evaluation in (PredictionOutput(scores, labels, {}), batches)
    ]
    assert cards[0].text == cards[1].text


def test_metrics_are_no_evaluation(trained):
    with pytest.raises(TypeError, match="`trainer.predict"):
        write_model_card(trained[0], trained[0].args.output_dir, evaluation={"eval_kendall_tau": 0.5})
