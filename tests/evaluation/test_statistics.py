import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau
from transformers import EvalPrediction

from sentence_ordering import compute_metrics
from sentence_ordering.evaluation.statistics import bootstrap_intervals, measure
from sentence_ordering.training.gaps import choose_pairs, expected_calibration_error, group_gaps
from sentence_ordering.training.positions import count_parts, sum_displacements

document = st.integers(2, 7).flatmap(lambda n: st.tuples(*[st.permutations(range(n))] * 3))


@settings(deadline=None)
@given(st.lists(document, min_size=1, max_size=8))
def test_means_spread_and_agreement_equal_those_of_the_documents_one_by_one(answers_of, documents):
    measurement = measure(answers_of(*documents))
    width = max(len(true) for true, *_ in documents)

    def pad(rows):
        return np.array([[*row, *[-100] * (width - len(row))] for row in rows])

    true, *answers = (pad(rows) for rows in zip(*documents, strict=True))
    by_order = [compute_metrics(EvalPrediction(places.astype(np.float32), true)) for places in answers]
    for name, estimate in measurement.metrics.items():
        values = [metrics[name] for metrics in by_order]
        assert estimate.mean == pytest.approx(np.mean(values))
        assert estimate.spread == pytest.approx(np.std(values, ddof=1))
    pairs = [(one, other) for _, one, other in documents]
    assert measurement.agreement == pytest.approx(np.mean([kendalltau(*pair).statistic for pair in pairs]))
    assert measurement.same_order == pytest.approx(np.mean([one == other for one, other in pairs]))


def test_documents_that_say_nothing_about_order_are_counted_only(answers_of):
    known = ([0, 1], [1, 0])
    measurement = measure(answers_of(([0], [0]), known, ([], []), ([-100, -100], [0, 1]), ([0, 1], [0, 1])))
    assert (measurement.documents, measurement.documents_skipped) == (2, 3)
    assert measurement.metrics["kendall_tau"].mean == 0
    assert measurement.worst == [(1, -1.0), (4, 1.0)]


def test_equal_scores_get_no_credit_from_the_order_given(answers_of):
    answers = answers_of(([0, 1, 2], [0, 1, 2]))
    answers.scores[0][:] = 1.0
    metrics = measure(answers).metrics
    assert (metrics["kendall_tau"].mean, metrics["pmr"].mean) == (0, pytest.approx(1 / 6))


def test_nothing_to_measure_gives_nan(answers_of):
    measurement = measure(answers_of(([0], [0], [0])))
    assert math.isnan(measurement.metrics["kendall_tau"].mean)
    assert (measurement.same_order, measurement.gaps, measurement.by_length, measurement.worst) == (None, [], [], [])


def test_tau_by_number_of_sentences(answers_of):
    right, wrong = list(range(6)), list(range(6))[::-1]
    measurement = measure(
        answers_of(([0, 1], [0, 1]), (right, right), (right, wrong), (list(range(7)), list(range(7))))
    )
    assert [(group.shortest, group.longest, group.documents) for group in measurement.by_length] == [
        (2, 2, 1),
        (6, 7, 3),
    ]
    assert [group.kendall_tau for group in measurement.by_length] == pytest.approx([1, 1 / 3])
    assert measurement.by_length[0].interval is None
    assert measurement.by_length[1].interval == (-1, 1)


def test_of_equally_bad_documents_the_longest_is_worst(answers_of):
    measurement = measure(answers_of(([0, 1], [1, 0]), ([0, 1, 2], [2, 1, 0]), ([0, 1], [0, 1])), worst=2)
    assert measurement.worst == [(1, -1.0), (0, -1.0)]


def test_interval_is_that_of_a_mean_over_documents_or_sentences():
    rng = np.random.default_rng(0)
    values = rng.normal(0.5, 0.2, size=400)
    counts = np.where(np.arange(400) < 200, 2, 20)
    accuracy = np.where(counts == 20, 0.9, 0.1)
    intervals = bootstrap_intervals({"pmr": values, "accuracy": accuracy}, counts, rng)
    error = 1.96 * values.std() / 20
    assert intervals["pmr"] == pytest.approx((values.mean() - error, values.mean() + error), abs=0.004)
    low, high = intervals["accuracy"]
    assert low < (200 * 2 * 0.1 + 200 * 20 * 0.9) / (200 * 22) < high < 0.86


@given(st.integers(2, 60))
def test_pairs_are_distinct_sentences_and_all_of_a_short_document(count):
    first, second = choose_pairs(count, np.random.default_rng(0), limit=45)
    assert (first < second).all() and second.max() < count
    assert len(first) == min(45, count * (count - 1) // 2)
    if count <= 10:
        assert len(set(zip(first, second, strict=True))) == len(first)


def test_gaps_are_grouped_from_small_to_large():
    gaps = np.array([4.0, 1.0, 3.0, 2.0])
    small, large = group_gaps(gaps, np.array([True, False, True, True]), groups=2)
    assert (small.gap, small.right, small.pairs, small.probability) == (1.5, 0.5, 2, None)
    assert (large.gap, large.right, large.pairs) == (3.5, 1, 2)


def test_score_gaps_of_wrong_pairs_count_as_wrong(answers_of):
    answers = answers_of(([0, 1, 2], [0, 2, 1]))  # Gaps: 2 right, 1 right, 1 wrong.
    measurement = measure(answers)
    assert [(group.gap, group.right) for group in measurement.gaps] == [(1, 1), (1, 0), (2, 1)]


def test_calibration_error_is_the_mean_distance_from_the_share_that_is_right():
    probabilities = np.array([0.9, 0.75, 0.9, 0.75, 0.9, 0.75, 0.9, 0.75])
    right = np.array([True, True, True, True, False, True, False, False])
    assert expected_calibration_error(probabilities, right, groups=2) == pytest.approx((0 + 0.4) / 2)


def test_calibration_error_of_pairs_is_that_of_their_probabilities(answers_of):
    # Of the pairs, with gaps of 1, 1 and 2, the last one and one of the others are right.
    answers = answers_of(([0, 1, 2], [0, 2, 1]))
    error = measure(answers, confidence_slope=math.log(3)).calibration_error
    assert error == pytest.approx((abs(0.75 - 1) + abs(0.75 - 0) + abs(0.9 - 1)) / 3)
    assert measure(answers).calibration_error is None


def test_parts_of_documents_of_any_length():
    assert count_parts(np.array([[0, 1, 2]]), np.array([[0, 1, 2]]), parts=3).tolist() == np.eye(3).tolist()
    # The second of three sentences lies half in the first and half in the second half of its document.
    halves = count_parts(np.array([[1, 0, 2]]), np.array([[0, 1, 2]]), parts=2)
    np.testing.assert_allclose(halves, [[1, 0.5], [0.5, 1]])


def test_displacements_of_parts_of_documents_of_any_length():
    # The second of three sentences lies half in the first and half in the second half of its document.
    assert sum_displacements(np.array([[2, 1, 0]]), np.array([[0, 1, 2]]), parts=2).tolist() == [2, 2]
    halves = sum_displacements(np.array([[1, 0, 2]]), np.array([[0, 1, 2]]), parts=2)
    np.testing.assert_allclose(halves, [1.5, 0.5])
