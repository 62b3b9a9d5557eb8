import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import accuracy_score, mean_squared_error
from transformers import EvalPrediction

from sentence_ordering import compute_metrics


def pad(rows, value=-100):
    width = max(map(len, rows))
    return np.array([[*row, *[value] * (width - len(row))] for row in rows])


def metrics_of(scores, labels, **kwargs):
    return compute_metrics(EvalPrediction(pad(scores).astype(np.float32), pad(labels)), **kwargs)


def stable_ranks(values):
    order = sorted(range(len(values)), key=lambda i: (values[i], i))
    return [order.index(i) for i in range(len(values))]


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
    assert metrics["mse"] == pytest.approx(np.mean([4, 0, 4, 0]))
    assert (metrics["mean_logits"], metrics["documents"], metrics["documents_skipped"]) == (2.5, 1, 0)
    assert metrics["std_logits"] == pytest.approx(np.std([1, 2, 3, 4]))


document = st.integers(2, 9).flatmap(
    lambda n: st.tuples(
        # Few values, so that scores tie.
        st.lists(st.sampled_from([-100.0, -1.5, 0.0, 0.25, 3.0, 7.0]), min_size=n, max_size=n),
        st.permutations(range(n)),
    )
)


@given(st.lists(document, min_size=1, max_size=6))
def test_metrics_equal_scipy_and_scikit_learn(documents):
    scores, labels = zip(*documents, strict=True)
    ranks = [stable_ranks(row) for row in scores]
    pairs = list(zip(labels, ranks, strict=True))
    flat_labels, flat_ranks = np.concatenate(labels), np.concatenate(ranks)
    expected = {
        "kendall_tau": np.mean([kendalltau(true, rank).statistic for true, rank in pairs]),
        "spearman": np.mean([spearmanr(true, rank).statistic for true, rank in pairs]),
        "pmr": np.mean([list(true) == rank for true, rank in pairs]),
        "accuracy": accuracy_score(flat_labels, flat_ranks),
        "accuracy_macro": np.mean([accuracy_score(true, rank) for true, rank in pairs]),
        "within_1": np.mean(np.abs(flat_labels - flat_ranks) <= 1),
        "first": np.mean([rank[true.index(0)] == 0 for true, rank in pairs]),
        "last": np.mean([rank[true.index(len(true) - 1)] == len(true) - 1 for true, rank in pairs]),
        "lcs": np.mean(
            [longest_common_subsequence(np.argsort(true), np.argsort(rank)) / len(true) for true, rank in pairs]
        ),
        "mse": mean_squared_error(flat_labels, np.concatenate(scores)),
        "documents": len(documents),
    }
    metrics = metrics_of(scores, labels)
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_ties_keep_input_order():
    assert metrics_of([[1.0, 1.0, 1.0]], [[0, 1, 2]])["kendall_tau"] == 1
    assert metrics_of([[1.0, 1.0, 1.0]], [[2, 1, 0]])["kendall_tau"] == -1


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


def test_target_range_scales_the_targets_of_mse():
    assert metrics_of([[0.0, 2.0, 4.0]], [[0, 1, 2]], target_range=4.0)["mse"] == 0


@pytest.mark.parametrize(("target_range", "scores"), [(None, [0.0, 1.0, 2.0]), (4.0, [0.0, 2.0, 4.0])])
def test_mse_of_documents_labelled_in_part_is_that_of_whole_ones(target_range, scores):
    assert metrics_of([scores], [[-100, 1, 2]], target_range=target_range)["mse"] == 0


def test_all_keys_are_plain_floats():
    metrics = metrics_of([[0.0, 1.0]], [[0, 1]])
    assert {type(value) for value in metrics.values()} == {float}
    assert set(metrics) == {
        *("kendall_tau", "pmr", "accuracy", "accuracy_macro", "spearman", "lcs", "first", "last", "within_1"),
        *("mse", "mean_logits", "std_logits", "documents", "documents_skipped"),
    }


def test_differing_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\) and labels of shape \(2, 4\)"):
        compute_metrics(EvalPrediction(np.zeros((2, 3)), np.zeros((2, 4), int)))
