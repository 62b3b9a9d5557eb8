import json

import numpy as np
import pytest
from datasets import Dataset

from sentence_ordering.evaluation.measuring import load_corpus
from sentence_ordering.evaluation.results import TaskResult, task_as_json
from sentence_ordering.evaluation.tables import format_task_markdown
from sentence_ordering.evaluation.tasks import measure_task, try_coherence, try_insertion
from sentence_ordering.model.coherence import better_than_random

SCORES = {"a": 0.0, "b": 1.0, "c": 2.0, "d": 3.0}


def score(documents):
    for sentences in documents:
        yield {"scores": [SCORES[sentence] for sentence in sentences]}


def corpus_of(*documents, **columns):
    return load_corpus(
        "c", Dataset.from_dict({"sentences": documents, **columns}), positions_column=next(iter(columns), None)
    )


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_every_sentence_is_taken_out_and_put_back(rng):
    trials = try_insertion(np.array([0.0, 1.0, 3.0, 2.0]), 1.0, rng)
    # The third, of score 3, is put behind the last, and the last, of score 2, in front of the third.
    assert trials.right.tolist() == [True, True, False, False]
    assert trials.figures == {"right": 0.5, "chance": 0.25, "off": 0.5}


def test_probability_of_the_chosen_place_is_what_the_answer_says(rng):
    # Left are the scores 1 and 2; the places of 0 have log-odds of 0, -1 and -3, times the slope for three sentences.
    trials = try_insertion(np.array([0.0, 1.0, 2.0]), np.sqrt(3) / 2, rng)
    assert trials.probabilities[0] == pytest.approx(1 / (1 + np.exp(-1) + np.exp(-3)))


def test_right_order_is_the_more_coherent_one(rng):
    assert try_coherence(np.arange(4.0), 1.0, rng).figures == {"over_random": 1.0, "over_swapped": 1.0}
    assert try_coherence(-np.arange(4.0), 1.0, rng).figures == {"over_random": 0.0, "over_swapped": 0.0}


def test_a_model_that_knows_nothing_wins_half(rng):
    trials = try_coherence(np.arange(4.0), 0.0, rng)
    assert trials.figures == {"over_random": 0.5, "over_swapped": 0.5}
    assert set(trials.probabilities) == {0.5}


def test_swapped_neighbours_are_judged_one_by_one(rng):
    assert try_coherence(np.array([0.0, 2.0, 1.0, 1.0]), 1.0, rng).figures["over_swapped"] == 0.5


def test_only_the_right_order_is_right(rng):
    scores = np.array([0.0, 3.0])
    trials = try_coherence(scores, 1.0, rng)
    own, other = better_than_random(scores, 1.0), better_than_random(scores[::-1], 1.0)
    # Of two sentences there is one other order.
    assert set(zip(trials.probabilities, trials.right, strict=True)) == {(own, True), (other, False)}


def test_documents_are_given_in_natural_order_and_those_without_one_skipped():
    corpus = corpus_of(["b", "a"], ["c"], ["a", "b"], positions=[[1, 0], [0], None])
    measurement, predictions = measure_task("insert", score, corpus, confidence_slope=1.0, seed=0)
    assert (measurement.documents, measurement.documents_skipped) == (1, 2)
    assert predictions == [{"row": 0, "scores": [0.0, 1.0], "right": 1.0, "chance": 0.5, "off": 0.0}]


def test_calibration_error_is_that_over_all_trials():
    # All of four sentences are put where they were, with probabilities that are known.
    corpus = corpus_of(["a", "b", "c", "d"], ["a", "b", "c", "d"])
    measurement, _ = measure_task("insert", score, corpus, confidence_slope=1.0, seed=0)
    probabilities = try_insertion(np.arange(4.0), 1.0, np.random.default_rng()).probabilities
    error = measurement.figures["calibration_error"]
    assert error.mean == pytest.approx(1 - probabilities.mean())
    assert error.interval == pytest.approx((error.mean, error.mean))


def test_calibration_error_lies_in_its_interval():
    rng = np.random.default_rng(0)
    documents = [rng.permutation(list("abcd")).tolist() for _ in range(30)]
    measurement, _ = measure_task("insert", score, corpus_of(*documents), confidence_slope=0.5, seed=0)
    error = measurement.figures["calibration_error"]
    assert error.interval[0] < error.mean < error.interval[1]


def test_figures_are_written_as_json_and_markdown():
    one, nothing = corpus_of(["a", "b", "d", "c"]), corpus_of(["a"])
    results = [
        TaskResult(name, "m|n", measure_task("coherence", score, corpus, confidence_slope=1.0, seed=3)[0])
        for name, corpus in (("one", one), ("nothing", nothing))
    ]
    data = json.loads(json.dumps(task_as_json(results, "coherence", 3, 2), allow_nan=False))
    assert (data["task"], data["seed"], data["num_shuffles"], data["results"][0]["corpus"]) == (
        "coherence",
        3,
        2,
        "one",
    )
    assert data["results"][0]["figures"]["over_swapped"] == {
        "mean": pytest.approx(2 / 3),
        "interval": None,
        "spread": None,
    }
    head, _, row, empty = format_task_markdown(results, "coherence").splitlines()
    assert [cell.strip() for cell in head.strip("|").split("|")] == [
        *("", "corpus", "documents", "over a random order", "over two neighbours swapped", "calibration error"),
    ]
    assert row.split()[:9:2] == ["|", "|", "|", "|", "|"] and row.split()[9] == "0.667"
    assert empty.split() == "| m\\|n | nothing | 0 | – | – | – |".split()
