"""What the pipeline can be asked, with a model that reads the letters a, b, c, ... as the scores 0, 1, 2, ..."""

import doctest
import json
import math
import subprocess
from string import ascii_lowercase

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import pipeline

from sentence_ordering.model import answers
from sentence_ordering.model.answers import Request, answer_insert
from sentence_ordering.model.constrained_order import best_order
from sentence_ordering.model.constraints import Constraints


@pytest.fixture
def ask(model, tokenizer, monkeypatch):
    """A pipeline whose model scores letters by their place in the alphabet, with odds of 3 for a gap of 1."""
    score_of = torch.zeros(len(tokenizer))
    for score, letter in enumerate(ascii_lowercase):
        score_of[tokenizer.convert_tokens_to_ids(letter)] = score

    def forward(self, input_ids, **inputs):
        logits = torch.full((len(input_ids), input_ids.shape[1] // 2), -100.0)
        for row, ids in enumerate(input_ids):
            first_tokens = ids[1:][ids[:-1] == tokenizer.cls_token_id]
            logits[row, : len(first_tokens)] = score_of[first_tokens]
        return type("Output", (), {"logits": logits})

    monkeypatch.setattr(type(model), "forward", forward)
    model.config.confidence_slope = math.log(3)
    return pipeline("sentence-ordering", model=model, tokenizer=tokenizer)


def test_examples():
    assert doctest.testmod(answers).failed == 0


class TestOrder:
    @pytest.mark.parametrize(
        ("constraints", "expected"),
        [
            ({}, "abcd"),
            ({"first": 0}, "dabc"),
            ({"last": 1}, "bcda"),
            ({"fixed": {"0": 1}}, "adbc"),
            ({"before": [[0, 3]]}, "abdc"),
            ({"chains": [[0, 2, 1]]}, "dbac"),
            ({"blocks": [[0, 1]]}, "badc"),
            ({"blocks": [[0, 1]], "chains": [[0, 1]]}, "bdac"),
        ],
    )
    @pytest.mark.parametrize("canonical", [False, True])
    def test_constraints_are_kept(self, constraints, expected, canonical, ask):
        answer = ask({"sentences": ["d", "a", "b", "c"], "constraints": constraints}, canonical=canonical)
        assert "".join(answer["sentences"]) == expected

    def test_answer_under_constraints_agrees_with_itself(self, ask):
        answer = ask({"sentences": ["c", "a", "b"], "constraints": {"first": 0}})
        assert answer == {
            "order": [0, 1, 2],
            "sentences": ["c", "a", "b"],
            "scores": [2.0, 0.0, 1.0],
            "positions": [0, 1, 2],
            "confidence": pytest.approx((0.1 + 0.25 + 0.75) / 3),
        }

    def test_no_constraints_are_no_change(self, ask):
        document = ["c", "a", "d", "b"]
        for constraints in (None, {}, {"chains": []}, {"before": [[1, 3]]}):
            answer = ask({"sentences": document, "constraints": constraints})
            assert answer == ask(document) | {"confidence": pytest.approx(answer["confidence"])}

    def test_constraints_need_no_slope(self, ask, model):
        model.config.confidence_slope = None
        answer = ask({"sentences": ["b", "a"], "constraints": {"first": 0}})
        assert (answer["order"], answer["confidence"]) == ([0, 1], None)

    def test_ties_do_not_depend_on_the_order_given_where_the_model_reads_canonically(self, ask):
        document = {"sentences": ["a x", "a y", "a z"], "constraints": {"blocks": [[0, 1, 2]]}}
        turned = {"sentences": ["a z", "a y", "a x"], "constraints": {"blocks": [[0, 1, 2]]}}
        assert ask(document, canonical=True)["sentences"] == ask(turned, canonical=True)["sentences"]

    @pytest.mark.parametrize(
        ("constraints", "message"),
        [
            ({"first": 0, "last": 0}, "document 1: No order can keep all these constraints: sentence 0 at place 0; se"),
            ({"firsts": 0}, "document 1: There are no constraints 'firsts'"),
        ],
    )
    def test_wrong_constraints_are_told_before_the_model_is_run(self, constraints, message, ask, model, monkeypatch):
        monkeypatch.setattr(type(model), "forward", None)
        with pytest.raises(ValueError, match=message):
            ask([["a", "b"], {"sentences": ["a", "b"], "constraints": constraints}])

    def test_constraints_of_a_dataset_are_kept(self, ask):
        rows = [
            {"sentences": ["a", "b"], "constraints": {"first": 1, "fixed": {"0": 1}}, "id": 1},
            {"sentences": ["b", "a", "c"], "constraints": {"before": [[2, 0]]}, "id": 2},
            {"sentences": ["b", "a"], "constraints": None, "id": 3},
        ]
        for documents in (rows, Dataset.from_list(rows), (row for row in rows)):
            sentences = ["".join(answer["sentences"]) for answer in ask(documents, batch_size=2)]
            assert sentences == ["ba", "acb", "ab"]

    def test_alternatives_come_with_their_probabilities(self, ask):
        answer = ask(["c", "a", "b"], alternatives=3)
        # Of the six orders, by the pairs that are turned: 1, 1/3, 1/3, 1/27, 1/27 and 1/81.
        total = 1 + 2 / 3 + 2 / 27 + 1 / 81
        assert answer["alternatives"] == [
            {"order": [1, 2, 0], "log_odds": 0.0, "probability": pytest.approx(1 / total)},
            {"order": [1, 0, 2], "log_odds": pytest.approx(-math.log(3)), "probability": pytest.approx(1 / 3 / total)},
            {"order": [2, 1, 0], "log_odds": pytest.approx(-math.log(3)), "probability": pytest.approx(1 / 3 / total)},
        ]
        assert {key: value for key, value in answer.items() if key != "alternatives"} == ask(["c", "a", "b"])

    def test_more_alternatives_than_there_are_orders_are_all_orders(self, ask):
        assert len(ask(["c", "a", "b"], alternatives=10**20)["alternatives"]) == 6

    def test_all_alternatives_of_a_short_document_are_certain_together(self, ask):
        alternatives = ask(["c", "a", "b", "z"], alternatives=100)["alternatives"]
        assert len(alternatives) == 24
        assert sum(alternative["probability"] for alternative in alternatives) == pytest.approx(1)

    def test_alternatives_of_a_long_document_have_odds_only(self, ask):
        alternatives = ask(list("zyxwvutsrqpon"), alternatives=2)["alternatives"]
        assert [alternative["probability"] for alternative in alternatives] == [None, None]
        assert alternatives[1]["log_odds"] == pytest.approx(-math.log(3), rel=1e-5)

    @pytest.mark.parametrize("canonical", [False, True])
    def test_first_alternative_is_the_answer_also_where_scores_tie(self, canonical, ask):
        answer = ask(["a z", "a y", "a x", "a w"], alternatives=1, tie_threshold=0.6, canonical=canonical)
        assert answer["alternatives"][0]["order"] == answer["order"]
        assert answer["groups"] == [answer["order"]]

    def test_neighbours_that_nearly_tie_are_grouped(self, ask):
        assert ask(["e", "a", "b", "d"], tie_threshold=0.8)["groups"] == [[1, 2], [3, 0]]
        assert ask(["e", "a", "b", "d"], tie_threshold=0.7)["groups"] == [[1], [2], [3], [0]]


class TestScore:
    def test_order_is_judged(self, ask):
        answer = ask(["a", "c", "b"], answer="score")
        assert answer.pop("better_than_random") == pytest.approx(
            1 / (1 + np.mean([3.0 ** (-gap * 2 / np.sqrt(3)) for gap in (-1, 0, 2, 2, 3)]))
        )
        assert answer == {
            "coherence": pytest.approx((0.75 + 0.9 + 0.25) / 3),
            "sentence_coherence": pytest.approx([(0.9 + 0.75) / 2, (0.9 + 0.25) / 2, (0.75 + 0.25) / 2]),
            "neighbour_probabilities": pytest.approx([0.9, 0.25]),
            "weakest": {"sentence": 1, "place": 2, "probability": pytest.approx(0.75)},
            "scores": [0.0, 2.0, 1.0],
        }

    def test_the_best_order_has_no_weakest_place_and_the_confidence_of_its_answer(self, ask):
        answer = ask(["a", "b", "d"], answer="score")
        assert answer["weakest"] is None
        assert answer["coherence"] == pytest.approx(ask(["d", "b", "a"])["confidence"])

    @pytest.mark.parametrize("count", [0, 1])
    def test_too_few_sentences_are_in_order(self, count, ask):
        answer = ask(["a"][:count], answer="score")
        assert (answer["coherence"], answer["better_than_random"], answer["weakest"]) == (1.0, 0.5, None)
        assert answer["neighbour_probabilities"] == []

    def test_scores_do_not_depend_on_the_order_that_is_judged(self, model, tokenizer, stories):
        model.config.confidence_slope = 1.0
        ask = pipeline("sentence-ordering", model=model, tokenizer=tokenizer, answer="score")
        forward, backward = ask([stories[0], stories[0][::-1]])
        assert forward["scores"] == backward["scores"][::-1]
        assert ask(stories[0], canonical=False)["scores"] != forward["scores"]
        assert forward["coherence"] + backward["coherence"] == pytest.approx(1)


class TestInsert:
    def test_places_come_with_their_probabilities(self, ask):
        answer = ask({"sentences": ["a", "c", "d"], "insert": ["b", "z", "a"]}, answer="insert")
        odds = np.array([1, 3, 1, 1 / 9])  # Of b to the places, against the first.
        assert answer.pop("place_probabilities")[0] == pytest.approx(odds / odds.sum())
        assert answer == {
            "order": [5, 0, 3, 1, 2, 4],
            "sentences": ["a", "a", "b", "c", "d", "z"],
            "places": [1, 3, 0],
        }

    def test_batches_and_streams_are_asked_too(self, ask):
        rows = [{"sentences": ["a", "c"], "insert": ["b"]}, {"sentences": [], "insert": ["b", "a"]}] * 2
        for documents in (rows, Dataset.from_list(rows), (row for row in rows)):
            answers = ask(documents, answer="insert", batch_size=2)
            assert ["".join(answer["sentences"]) for answer in answers] == ["abc", "ab"] * 2

    def test_nothing_to_insert_leaves_the_document(self, ask):
        answer = ask({"sentences": ["b", "a"], "insert": []}, answer="insert")
        assert answer == {"order": [0, 1], "sentences": ["b", "a"], "places": [], "place_probabilities": []}

    @settings(deadline=None)
    @given(
        scores=st.lists(st.integers(-4, 4), max_size=6),
        new=st.lists(st.integers(-4, 4), max_size=3),
        slope=st.just(1.0),
    )
    def test_new_sentences_make_the_best_order_together(self, scores, new, slope):
        values = np.array([*scores, *new], dtype=np.float64)
        answer = answer_insert(Request([""] * len(values), new_sentences=len(new)), values, slope)
        best = best_order(values, Constraints(chains=(tuple(range(len(scores))),)))
        places = np.arange(len(values))
        assert values[answer["order"]] @ places == pytest.approx(values[best] @ places)
        assert [index for index in answer["order"] if index < len(scores)] == list(range(len(scores)))
        for index, place in enumerate(answer["places"]):
            before = answer["order"][: answer["order"].index(len(scores) + index)]
            assert sum(other < len(scores) for other in before) == place

    @pytest.mark.parametrize(
        ("document", "error", "message"),
        [
            (["a", "b"], ValueError, "document: has no sentences to insert. Give a dict like"),
            ({"sentences": ["a"], "insert": None}, ValueError, "document: has no sentences to insert"),
            ({"sentences": ["a"], "insert": "b"}, TypeError, 'document: "insert": a document is a list of sentences'),
            ({"sentences": ["a"], "insert": [1]}, TypeError, 'document: "insert": sentence 0 must be a string'),
        ],
    )
    def test_documents_without_sentences_to_insert_are_refused(self, document, error, message, ask):
        with pytest.raises(error, match=message):
            ask(document, answer="insert")


def test_documents_in_windows_and_several_passes_are_answered(ask, model):
    model.config.max_tokens = 16
    letters = list(ascii_lowercase)
    [right, wrong] = ask([letters, letters[::-1]], answer="score", num_shuffles=2)
    assert right["coherence"] > 0.9 > 0.1 > wrong["coherence"]
    row = {"sentences": letters[:12] + letters[13:], "insert": letters[12:13], "constraints": {"last": 0}}
    assert ask(row, answer="insert", num_shuffles=2)["sentences"] == letters
    assert ask(row, num_shuffles=2)["order"] == [*range(1, 25), 0]
    assert ask(letters[::-1], num_shuffles=2, alternatives=2)["alternatives"][0]["order"] == [*range(26)][::-1]


@pytest.mark.parametrize("options", [{"answer": "score"}, {"alternatives": 1}, {"tie_threshold": 0.5}])
def test_probabilities_need_a_fitted_slope(options, ask, model):
    model.config.confidence_slope = None
    with pytest.raises(ValueError, match="no `confidence_slope`.*fit_confidence"):
        ask({"sentences": ["a"], "insert": ["b"]}, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"answer": "coherence"}, "answer='coherence' is unknown. Use 'order', 'score', 'insert'."),
        ({"alternatives": 0}, "alternatives=0 must be a whole number of at least 1"),
        ({"tie_threshold": 0.4}, "tie_threshold=0.4 must be a probability from 0.5 to 1"),
        ({"tie_threshold": "high"}, "tie_threshold='high' must be a probability"),
        ({"answer": "score", "alternatives": 2}, "answer='score' has no `alternatives` and no `tie_threshold`"),
    ],
)
def test_wrong_questions_get_a_clear_answer(options, message, ask, model, tokenizer):
    with pytest.raises(ValueError, match=message):
        ask(["a", "b"], **options)
    with pytest.raises(ValueError, match=message):
        pipeline("sentence-ordering", model=model, tokenizer=tokenizer, **options)


def test_alternatives_under_constraints_are_refused(ask):
    with pytest.raises(ValueError, match="document: `alternatives` and `tie_threshold` do not go with constraints"):
        ask({"sentences": ["a", "b"], "constraints": {"first": 1}}, alternatives=2)
    assert ask({"sentences": ["a", "b"], "constraints": {}}, alternatives=2)["alternatives"]


def test_question_may_be_asked_once_for_all_and_changed_with_a_call(ask, model, tokenizer):
    score = pipeline("sentence-ordering", model=model, tokenizer=tokenizer, answer="score")
    assert "coherence" in score(["a", "b"])
    assert score(["b", "a"], answer="order")["order"] == [1, 0]
    assert ask(["b", "a"], answer="score", return_pair_probabilities=True)["pair_probabilities"][0][1] == pytest.approx(
        0.25
    )


@pytest.mark.slow
def test_saved_orderer_is_asked_without_the_package(model, tokenizer, tmp_path, without_package, python):
    model.config.confidence_slope = 1.0
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    code = (
        without_package
        + f"""
from transformers import pipeline
ask = pipeline("sentence-ordering", model={str(tmp_path)!r}, trust_remote_code=True)
print(json.dumps([
    ask({{"sentences": ["a", "b", "c"], "constraints": {{"first": 2, "before": [[1, 0]]}}}})["order"],
    ask(["a", "b"], answer="score")["better_than_random"] > 0,
    ask({{"sentences": ["a"], "insert": ["b"]}}, answer="insert")["places"][0] in (0, 1),
    len(ask(["a", "b"], alternatives=3, tie_threshold=0.9)["alternatives"]),
]))
"""
    )
    run = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1]) == [[2, 1, 0], True, True, 2]
