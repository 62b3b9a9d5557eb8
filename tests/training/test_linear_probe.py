import pytest
import torch
from datasets import Dataset
from transformers import EvalPrediction

from sentence_ordering import (
    AutoModelForSentenceOrdering,
    DataCollatorForSentenceOrdering,
    compute_metrics,
    prepare_dataset,
)
from sentence_ordering.training.linear_probe import fit_head


@pytest.fixture
def make(encoder_folder, tokenizer, counted):
    """Return a function that makes a model with a new head, its collator, and rows to fit the head to."""

    def make(positions=False, **fields):
        torch.manual_seed(0)
        model = AutoModelForSentenceOrdering.from_pretrained(encoder_folder, pooling="mean", **fields)
        rows = Dataset.from_dict({"sentences": counted, "places": [None] * len(counted)})
        column = "places" if positions else None
        prepared = prepare_dataset(rows, tokenizer, model.config, positions_column=column)
        return model, prepared, DataCollatorForSentenceOrdering(tokenizer, model.config)

    return make


def tau(model, rows, collator):
    """Measure the order of a model on rows."""
    batch = collator([rows[index] for index in range(len(rows))])
    with torch.no_grad():
        scores = model.eval()(**batch).logits
    return compute_metrics(EvalPrediction(scores.numpy(), batch["labels"].numpy()))["kendall_tau"]


@pytest.mark.parametrize("scale_positions", [False, True])
def test_scores_tell_the_order_without_a_step_of_training(make, scale_positions):
    model, rows, collator = make(scale_positions=scale_positions)
    fit_head(model, rows, collator)
    assert tau(model, rows, collator) > 0.6
    with torch.no_grad():
        model.ordering_head.projection.weight.neg_()
    fit_head(model, rows, collator)
    assert tau(model, rows, collator) > 0.6


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_head_keeps_its_length_whatever_the_size_of_the_encoders_vectors(make, size):
    model, rows, collator = make()
    length = model.ordering_head.projection.weight.norm().item()
    model.backbone.encoder.layer[-1].output.LayerNorm.weight.data.mul_(size)
    fit_head(model, rows, collator)
    assert model.ordering_head.projection.weight.norm().item() == pytest.approx(length)


def test_dropout_does_not_disturb_the_fit(make):
    model, rows, collator = make(head_dropout=0.5)
    heads = []
    for mode in (True, False):
        model.train(mode)
        fit_head(model, rows, collator)
        heads.append(model.ordering_head.projection.weight.clone())
    torch.testing.assert_close(heads[0], heads[1])


@pytest.mark.parametrize(("most_sentences", "read"), [(9999, (0, 53, 106, 159)), (12, (0, 106)), (1, (0,))])
def test_rows_are_taken_from_all_over_the_dataset(most_sentences, read, make, monkeypatch):
    monkeypatch.setattr("sentence_ordering.training.linear_probe.MAX_SENTENCES", most_sentences)
    model, rows, collator = make()
    collated = []
    fit_head(model, rows, lambda batch: collated.extend(batch) or collator(batch), documents=4)
    assert sorted(map(str, collated)) == sorted(str(rows[index]) for index in read)


def test_nothing_but_the_head_changes(make):
    model, rows, collator = make()
    model.train()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    fit_head(model, rows, collator)
    changed = [name for name, weight in model.state_dict().items() if not weight.equal(before[name])]
    assert changed == ["ordering_head.projection.weight"]
    assert model.training
    assert not model.ordering_head._forward_pre_hooks


@pytest.mark.parametrize("count", [0, 5])
def test_head_stays_where_no_place_is_known(count, make):
    model, rows, collator = make(positions=True)
    before = model.ordering_head.projection.weight.clone()
    fit_head(model, rows.select(range(count)), collator)
    assert model.ordering_head.projection.weight.equal(before)


def test_one_document_is_enough(make):
    model, rows, collator = make()
    fit_head(model, rows.select([0]), collator)
    assert model.ordering_head.projection.weight.isfinite().all()
