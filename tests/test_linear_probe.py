import pytest
import torch
from datasets import Dataset

from sentence_ordering import AutoModelForSentenceOrdering, DataCollatorForSentenceOrdering, prepare_dataset
from sentence_ordering.linear_probe import fit_head


@pytest.fixture
def make(encoder_folder, tokenizer, counted):
    """Return a function that makes a model with a new head, its collator, and rows to fit the head to."""

    def make(positions=False, **fields):
        model = AutoModelForSentenceOrdering.from_pretrained(encoder_folder, pooling="mean", **fields)
        rows = Dataset.from_dict({"sentences": counted, "places": [None] * len(counted)})
        column = "places" if positions else None
        prepared = prepare_dataset(rows, tokenizer, model.config, positions_column=column)
        return model, prepared, DataCollatorForSentenceOrdering(tokenizer, model.config)

    return make


def score(model, rows, collator):
    """Return the scores of rows, and their places scaled as the model's targets, without padding."""
    batch = collator([rows[index] for index in range(len(rows))])
    valid = batch["labels"] != -100
    with torch.no_grad():
        scores = model(**batch).logits
    return scores[valid], (model.scale_targets(batch["labels"], valid) * model.config.score_scale)[valid]


@pytest.mark.parametrize("target_range", [None, 1.0])
def test_scores_come_close_to_places_without_a_step_of_training(make, target_range):
    model, rows, collator = make(target_range=target_range)
    scores, places = score(model, rows, collator)
    before = (scores - places).square().mean()
    fit_head(model, rows, collator)
    scores, places = score(model, rows, collator)
    assert (scores - places).square().mean() < 0.5 * before


@pytest.mark.parametrize(("most_sentences", "read"), [(9999, (0, 53, 106, 159)), (12, (0, 106)), (1, (0,))])
def test_rows_are_taken_from_all_over_the_dataset(most_sentences, read, make, monkeypatch):
    monkeypatch.setattr("sentence_ordering.linear_probe.MAX_SENTENCES", most_sentences)
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
