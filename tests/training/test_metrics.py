import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import accuracy_score, mean_squared_error
from transformers import EvalPrediction

from sentence_ordering import SentenceOrderingConfig, compute_metrics
from sentence_ordering.training.metrics import metrics_for


def pad(rows, value=-100):
    width = max(map(len, rows))
    return np.array([[*row, *[value] * (width - len(row))] for row in rows])


def metrics_of(scores, labels, compute=compute_metrics):
    return compute(EvalPrediction(pad(scores).astype(np.float32), pad(labels)))


def possible_ranks(values):
    """All the ways in which sentences may be ranked, more than one where scores are equal."""
    groups = [[i for i, value in enumerate(values) if value == score] for score in sorted(set(values))]
    for orders in itertools.product(*map(itertools.permutations, groups)):
        order = [index for group in orders for index in group]
        yield [order.index(i) for i in range(len(values))]


def longest_common_subsequence(a, b):
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1, j + 1] = table[i, j] + 1 if x == y else max(table[i, j + 1], table[i + 1, j])
    return table[-1, -1]


def test_right_and_reversed_order():
    assert metrics_of([[0.1, 2.0, 0.9]], [[0, 2, 1]])["kendall_tau"] == 1
    reverse = metrics_of([[3.0, 2.0, 1.0]], [[0, 1, 2]])
    assert (reverse["kendall_tau"], reverse["spearman"], reverse["pmr"]) == (-1, -1, 0)
    assert (reverse["accuracy"], reverse["lcs"], reverse["within_1"]) == (1 / 3, 1 / 3, 1 / 3)


def test_spread_of_scores_is_that_within_documents():
    # The scores of a document lie around the middle of its positions, however little they differ.
    metrics = metrics_of([[0.5, 0.5, -100.0, -100.0], [1.5, 1.5, 1.5, 1.5]], [[0, 1, -100, -100], [0, 1, 2, 3]])
    assert metrics["std_logits"] == 0


def test_a_document_by_hand():
    # Read: 1, 0, 3, 2 (labels). Two inversions of six pairs.
    metrics = metrics_of([[2.0, 1.0, 4.0, 3.0]], [[0, 1, 2, 3]])
    assert metrics["kendall_tau"] == pytest.approx(1 - 2 * 2 / 6)
    assert metrics["spearman"] == pytest.approx(1 - 6 * 4 / (4 * 15))
    assert (metrics["accuracy"], metrics["within_1"], metrics["lcs"]) == (0, 1, 0.5)
    assert (metrics["first"], metrics["last"]) == (0, 0)
    # None of the neighbours 01, 12, 23 is there; moving two sentences makes it right; each is off by one place.
    assert (metrics["adjacent"], metrics["moves"], metrics["displacement"]) == (0, 2, 1)
    assert (metrics["displacement_first"], metrics["displacement_last"]) == (1, 1)
    assert metrics["mse"] == pytest.approx(np.mean([4, 0, 4, 0]))
    assert (metrics["mean_logits"], metrics["documents"], metrics["documents_skipped"]) == (2.5, 1, 0)
    assert metrics["std_logits"] == pytest.approx(np.std([1, 2, 3, 4]))


def test_a_sentence_that_is_moved_far_takes_one_move_and_breaks_two_pairs_of_neighbours():
    # Read: 1, 2, 3, 0, 4 (labels). The neighbours 12 and 23 are left of four.
    metrics = metrics_of([[3.0, 0.0, 1.0, 2.0, 4.0]], [[0, 1, 2, 3, 4]])
    assert (metrics["adjacent"], metrics["moves"]) == (0.5, 1)
    assert metrics["displacement"] == pytest.approx((3 + 1 + 1 + 1 + 0) / 5)
    assert (metrics["displacement_first"], metrics["displacement_last"]) == (3, 0)


def scores_of(n):
    """Few values, so that scores tie; of more sentences the orders would be too many."""
    values = [-100.0, -1.5, 0.25, 3.0]
    return st.lists(st.sampled_from(values), min_size=n, max_size=n) if n <= 4 else st.permutations(range(n))


document = st.integers(2, 9).flatmap(lambda n: st.tuples(scores_of(n), st.permutations(range(n))))


def measure_ranks(true, rank):
    """The metrics of one document without ties, by SciPy and scikit-learn."""
    lcs = longest_common_subsequence(np.argsort(true), np.argsort(rank))
    return {
        "kendall_tau": kendalltau(true, rank).statistic,
        "spearman": spearmanr(true, rank).statistic,
        "pmr": list(true) == rank,
        "accuracy": accuracy_score(true, rank),
        "within_1": np.mean(np.abs(np.subtract(true, rank)) <= 1),
        "first": rank[true.index(0)] == 0,
        "last": rank[true.index(len(true) - 1)] == len(true) - 1,
        "lcs": lcs / len(true),
        "moves": len(true) - lcs,
        "adjacent": np.mean([rank[true.index(k + 1)] == rank[true.index(k)] + 1 for k in range(len(true) - 1)]),
        "displacement": np.mean(np.abs(np.subtract(true, rank))),
        "displacement_first": rank[true.index(0)],
        "displacement_last": len(true) - 1 - rank[true.index(len(true) - 1)],
    }


@settings(deadline=None, max_examples=50)
@given(st.lists(document, min_size=1, max_size=3))
def test_metrics_are_means_of_those_of_scipy_and_scikit_learn_over_all_orders_of_equal_scores(documents):
    expected = []
    for scores, labels in documents:
        measured = [measure_ranks(labels, rank) for rank in possible_ranks(scores)]
        mean = {name: np.mean([values[name] for values in measured]) for name in measured[0]}
        worst = {
            "lcs": min(values["lcs"] for values in measured),
            "moves": max(values["moves"] for values in measured),
        }
        expected.append(mean | worst | {"accuracy_macro": mean["accuracy"]})
    counts = [len(labels) for _, labels in documents]
    scores, labels = zip(*documents, strict=True)
    metrics = metrics_of(scores, labels)
    for name in expected[0]:
        weights = counts if name in ("accuracy", "within_1", "displacement") else None
        right = np.average([values[name] for values in expected], weights=weights)
        assert metrics[name] == pytest.approx(right, abs=1e-6), name
    assert metrics["mse"] == pytest.approx(mean_squared_error(np.concatenate(labels), np.concatenate(scores)))
    assert metrics["documents"] == len(documents)


@pytest.mark.parametrize("labels", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_equal_scores_get_no_credit_from_the_order_given(labels):
    metrics = metrics_of([[1.0, 1.0, 1.0]], [labels])
    third = pytest.approx(1 / 3)
    assert (metrics["kendall_tau"], metrics["spearman"], metrics["pmr"]) == (0, 0, pytest.approx(1 / 6))
    assert (metrics["accuracy"], metrics["first"], metrics["last"], metrics["lcs"]) == (third, third, third, third)


@pytest.mark.parametrize("tied", [[0.0, 1.0, 1.0, 2.0], [-0.0, 1.0, 1.0, 2.0]])
def test_two_equal_scores_in_the_middle(tied):
    # One of six pairs is a tie, and the two orders that it leaves are right and wrong.
    metrics = metrics_of([tied], [[0, 1, 2, 3]])
    assert (metrics["kendall_tau"], metrics["pmr"]) == (pytest.approx(5 / 6), 0.5)
    assert (metrics["accuracy"], metrics["first"], metrics["last"], metrics["lcs"]) == (0.75, 1, 1, 0.75)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_scores_that_cannot_be_ranked_are_refused_and_counted(wrong):
    with pytest.raises(ValueError, match="2 of 4 scores are NaN or infinite"):
        metrics_of([[wrong, 0.0, np.nan], [wrong, 1.0]], [[0, 1, -100], [0, 1]])


@pytest.mark.filterwarnings("error")
def test_hundreds_of_equal_scores_are_measured_without_a_warning():
    metrics = compute_metrics(EvalPrediction(np.zeros((1, 200)), np.arange(200)[None]))
    assert (metrics["kendall_tau"], metrics["pmr"]) == (0.0, 0.0)


def test_scores_below_the_padding_value_are_sorted_first():
    assert metrics_of([[-200.0, -150.0], [1.0, 2.0, 3.0]], [[0, 1], [0, 1, 2]])["kendall_tau"] == 1


def test_short_documents_are_left_out_of_all_means_and_counted():
    alone = metrics_of([[0.0, 1.0]], [[0, 1]])
    mixed = metrics_of([[0.0, 1.0], [50.0], []], [[0, 1], [0], []])
    assert mixed == alone | {"documents_skipped": 2}


def test_nothing_to_measure_gives_nan_and_counts():
    metrics = metrics_of([[5.0]], [[0]])
    assert math.isnan(metrics["kendall_tau"]) and math.isnan(metrics["mse"]) and math.isnan(metrics["std_logits"])
    assert (metrics["documents"], metrics["documents_skipped"]) == (0, 1)


def test_truncated_labels_are_ranked_anew():
    # Sentences 1 and 3 of five were cut off.
    metrics = metrics_of([[0.0, 5.0, 9.0]], [[0, 2, 4]])
    assert (metrics["kendall_tau"], metrics["pmr"], metrics["first"], metrics["last"]) == (1, 1, 1, 1)


def test_unlabelled_slots_between_labelled_ones_are_ignored():
    assert metrics_of([[1.0, -5.0, 2.0]], [[0, -100, 1]])["pmr"] == 1


@pytest.mark.parametrize(
    ("fields", "scores"),
    [
        ({}, [0.0, 1.0, 2.0]),
        ({"scale_positions": True}, [0.0, 2.0, 4.0]),
        ({"scale_positions": True, "score_unit": 0.25}, [0.0, 0.5, 1.0]),
    ],
)
@pytest.mark.parametrize("labels", [[0, 1, 2], [-100, 1, 2]])
def test_metrics_of_a_model_know_what_its_scores_are_trained_to_be(fields, scores, labels, bert_config):
    metrics = metrics_for(SentenceOrderingConfig(bert_config, sentence_token_id=1, **fields))
    assert metrics_of([scores], [labels], metrics)["mse"] == 0
    assert metrics_of([[score + 1 for score in scores]], [labels], metrics)["mse"] == 1


def test_batches_that_were_not_joined_count_as_those_that_were():
    scores = [np.array([[0.0, 2.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])]
    labels = [np.array([[0, 1, 2]]), np.array([[0, 1], [0, 1]])]
    joined = metrics_of([[0.0, 2.0, 1.0], [1.0, 0.0], [0.0, 1.0]], [[0, 1, 2], [0, 1], [0, 1]])
    assert compute_metrics(EvalPrediction(scores, labels)) == joined


def test_all_keys_are_plain_floats():
    metrics = metrics_of([[0.0, 1.0]], [[0, 1]])
    assert {type(value) for value in metrics.values()} == {float}
    assert set(metrics) == {
        *("kendall_tau", "pmr", "accuracy", "accuracy_macro", "spearman", "lcs", "first", "last", "within_1"),
        *("adjacent", "moves", "displacement", "displacement_first", "displacement_last"),
        *("mse", "mean_logits", "std_logits", "documents", "documents_skipped"),
    }


def test_differing_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\) and labels of shape \(2, 4\)"):
        compute_metrics(EvalPrediction(np.zeros((2, 3)), np.zeros((2, 4), int)))
