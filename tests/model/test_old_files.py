"""Orderers that version 0.1.0 saved."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, pipeline

from sentence_ordering import AutoModelForSentenceOrdering, SentenceOrderingModel

# Saved with target_range=2.0 and confidence_slope=1.5, and what its pipeline answered for the story.
FOLDER = Path(__file__).parents[1] / "fixtures" / "orderer-0.1.0"
ANSWER = json.loads((FOLDER / "answer.json").read_text())
STORY = ["Tom bought a cake.", "He took it home.", "Then he ate it all.", "In the end he felt sick.", "He went to bed."]


def assert_answers_as_before(order):
    answer = order(STORY)
    assert (answer["order"], answer["positions"]) == (ANSWER["order"], ANSWER["positions"])
    assert answer["scores"] == pytest.approx(ANSWER["scores"], abs=1e-5)
    assert answer["confidence"] == pytest.approx(ANSWER["confidence"], abs=1e-5)


def test_pipeline_answers_as_before_and_after_saving_and_loading(tmp_path):
    order = pipeline("sentence-ordering", model=str(FOLDER))
    assert_answers_as_before(order)
    order.save_pretrained(tmp_path)
    assert_answers_as_before(pipeline("sentence-ordering", model=str(tmp_path)))


@pytest.mark.parametrize("keywords", [{}, {"dtype": torch.float32}, {"device_map": "cpu"}, {"pooling": "mean"}])
@pytest.mark.parametrize("auto_class", [AutoModelForSentenceOrdering, SentenceOrderingModel])
def test_model_answers_as_before(auto_class, keywords, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    model = auto_class.from_pretrained(FOLDER, **keywords)
    model.save_pretrained(tmp_path)
    for loaded in (model, auto_class.from_pretrained(tmp_path, **keywords)):
        assert_answers_as_before(pipeline("sentence-ordering", model=loaded, tokenizer=tokenizer))


def test_scores_are_still_trained_to_reach_from_zero_to_the_range():
    model = AutoModelForSentenceOrdering.from_pretrained(FOLDER)
    token = model.config.sentence_token_id
    inputs = torch.tensor([[token, 5, token, 6, token, 7]])
    scores, labels = model(inputs).logits, torch.tensor([[0, 1, 2]])
    # Positions 0, 1, 2 are trained as 0, 2, 4, of which scores are the half.
    expected = (2 * scores - 2 * labels).square().mean()
    torch.testing.assert_close(model(inputs, labels=labels).loss, expected)
