import json
from argparse import Namespace
from importlib.resources import files
from types import SimpleNamespace

import numpy as np
import pytest
import study
import torch
from datasets import Dataset
from pairwise import PairCollator, score_pairs
from scipy.stats import kendalltau
from studies.systems import SYSTEMS
from study import SETTINGS, make_optimizer, prepare, split_corpus, tabulate

NUMBERS = ["one", "two", "three"]


def read_pairs(batch, tokenizer):
    """Decode the rows of a batch of pairs, as indices into `NUMBERS`."""
    texts = [
        tokenizer.decode(row, skip_special_tokens=True).replace("##", "").replace(" ", "") for row in batch["input_ids"]
    ]
    firsts = [next(number for number in NUMBERS if text.startswith(number)) for text in texts]
    return [(NUMBERS.index(a), NUMBERS.index(text.removeprefix(a))) for a, text in zip(firsts, texts, strict=True)]


def test_pairs_are_labelled_by_which_sentence_comes_first(tokenizer):
    batch = PairCollator(tokenizer)([{"sentences": NUMBERS}])
    pairs = read_pairs(batch, tokenizer)
    assert {tuple(sorted(pair)) for pair in pairs} == {(0, 1), (0, 2), (1, 2)}
    assert batch["labels"][:, 0].tolist() == [a < b for a, b in pairs]


def test_a_sentence_is_scored_by_how_surely_the_others_come_before_it(tokenizer):
    def classify(**batch):
        sure = [[100.0 if a < b else -100.0] for a, b in read_pairs(batch, tokenizer)]
        return SimpleNamespace(logits=torch.tensor(sure))

    classify.device = torch.device("cpu")
    documents = [["three", "one", "two"], ["two"], ["one", "two"]]
    scores = [pytest.approx(row) for row in ([2, 0, 1], [0], [0, 1])]
    assert score_pairs(classify, documents, tokenizer) == scores


def test_the_head_has_a_learning_rate_of_its_own(model):
    rates = {
        id(weight): group["lr"] for group in make_optimizer(model, 0.5, 10).param_groups for weight in group["params"]
    }
    assert {rates[id(weight)] for weight in model.ordering_head.parameters()} == {5.0}
    assert {rates[id(weight)] for weight in model.backbone.parameters()} == {0.5}


def test_a_fitted_head_orders_before_the_first_step(encoder_folder, counted):
    arguments = Namespace(backbone=encoder_folder, batch_size=4)
    documents = Dataset.from_dict({"sentences": counted})
    with torch.no_grad():
        model, *_, score = prepare(SYSTEMS["mean, fitted head"], documents, 0, arguments)
        scores = score(model.eval(), counted)
    assert np.mean([kendalltau(row, range(len(row))).statistic for row in scores]) > 0.6


# One for each of the ways in which systems differ.
NAMES = ["tutorial", "cls + mean", "attention", "mean, layers", "mean, zero head", "mean, fitted head", "pairwise"]


def test_held_out_documents_are_never_trained_on(tmp_path):
    for name, numbers in (("train", range(20)), ("valid", range(20, 23))):
        rows = [{"sentences": [f"{number}", "b"]} for number in numbers] + [{"sentences": ["alone"]}]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    train, held_out = split_corpus([str(tmp_path / "train.jsonl"), str(tmp_path / "valid.jsonl")], 5)
    assert sorted(int(first) for first, _ in held_out) == [18, 19, 20, 21, 22]
    assert sorted(int(first) for first, _ in train["sentences"]) == list(range(18))


def test_results_are_averaged_over_seeds():
    settings = dict.fromkeys(SETTINGS, 1) | {"corpus": "stories", "system": "mean"}
    runs = [
        settings
        | {"seed": seed, "training_seconds": 10.0 * seed}
        | {"curve": [{"documents_seen": 8, "kendall_tau": tau, "pmr": tau / 2}]}
        for seed, tau in ((1, 0.5), (2, 0.6))
    ]
    assert tabulate(runs).splitlines()[2] == "| stories | mean | 2 | 0.550 | 0.071 | 0.275 | 8: 0.550 | 15 |"
    assert tabulate(runs[:1]).splitlines()[2] == "| stories | mean | 1 | 0.500 | – | 0.250 | 8: 0.500 | 10 |"


def make_system(name, encoder_folder):
    arguments = Namespace(backbone=encoder_folder, batch_size=4)
    documents = Dataset.from_dict({"sentences": [["one", "two two", "three"], ["a", "b b b"]]})
    torch.manual_seed(0)
    return prepare(SYSTEMS[name], documents, 0, arguments)


def pooled(name, encoder_folder):
    model, rows, collator, _ = make_system(name, encoder_folder)
    batch = collator([rows[0], rows[1]])
    with torch.no_grad():
        states = model.eval().backbone(batch["input_ids"], batch["attention_mask"]).last_hidden_state
        return model._pool(states, batch["input_ids"], batch["attention_mask"], batch["labels"])[0]


def test_systems_pool_as_they_say(encoder_folder):
    mean, cls = pooled("mean", encoder_folder), pooled("cls", encoder_folder)
    torch.testing.assert_close(pooled("attention", encoder_folder), mean)  # before it is trained
    torch.testing.assert_close(pooled("cls + mean", encoder_folder), mean + cls)


def test_only_the_tutorial_keeps_its_shuffles(encoder_folder):
    for name, fixed in (("tutorial", True), ("mean", False)):
        _, rows, *_ = make_system(name, encoder_folder)
        epochs = []
        for epoch in range(6):
            if not fixed:
                rows.set_epoch(epoch)
            epochs.append(tuple(tuple(row["labels"]) for row in rows))
        assert (len(set(epochs)) == 1) == fixed


def test_a_corpus_of_one_file_is_refused(capsys):
    with pytest.raises(SystemExit) as exit_:
        study.main(["run", "--corpus", "stories=train.jsonl"])
    assert exit_.value.code == 2
    assert "'stories=train.jsonl' is not of the form NAME=TRAIN,VALIDATION" in capsys.readouterr().err


@pytest.mark.slow
def test_every_system_is_trained_measured_and_tabulated_once(encoder_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    corpus = files("sentence_ordering") / "corpora" / "bigbench_narratives.{}.jsonl"
    named = "stories=" + ",".join(str(corpus).format(split) for split in ("train", "validation"))
    results = tmp_path / "results.jsonl"
    command = ["run", "--corpus", named, "--backbone", str(encoder_folder), "--results", str(results)]
    command += ["--documents_seen", "8", "--batch_size", "2", "--held_out", "20", "--systems", *NAMES]
    study.main(command)
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert [row["system"] for row in rows] == NAMES
    for row in rows:
        assert [point["documents_seen"] for point in row["curve"]] == [0, 2, 4, 6, 8]
        assert all(-1 <= point["kendall_tau"] <= 1 for point in row["curve"])

    study.main(command)
    assert len(results.read_text().splitlines()) == len(rows)

    capsys.readouterr()
    study.main(["table", str(results)])
    table = capsys.readouterr().out
    assert all(f"| stories | {row['system']} | 1 |" in table for row in rows)
