import doctest
import math
import time
from itertools import combinations, islice, pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sentence_ordering.model import alternatives
from sentence_ordering.model.alternatives import best_orders, sum_orders, tie_groups
from sentence_ordering.model.confidence import gap_probabilities

some_scores = arrays(np.float64, st.integers(0, 5), elements=st.floats(-5, 5, width=16))
some_slope = st.floats(0, 4, width=16)


def log_odds_of_all(scores, slope):
    """Of every order to the best one, from the pairs themselves: log sigmoid(x) is -log(1 + exp(-x))."""
    logs = {
        order: -sum(np.logaddexp(0, -slope * (scores[j] - scores[i])) for i, j in combinations(order, 2))
        for order in permutations(range(len(scores)))
    }
    return {order: log - max(logs.values()) for order, log in logs.items()}


def test_examples():
    assert doctest.testmod(alternatives).failed == 0


@settings(deadline=None)
@given(scores=some_scores, slope=some_slope)
def test_every_order_comes_once_by_its_probability(scores, slope):
    expected = log_odds_of_all(scores, slope)
    ranked = list(best_orders(scores, slope))
    assert sorted(tuple(order) for order, _ in ranked) == sorted(expected)
    assert [log_odds for _, log_odds in ranked] == sorted((log_odds for _, log_odds in ranked), reverse=True)
    for order, log_odds in ranked:
        assert log_odds == pytest.approx(expected[tuple(order)], abs=1e-6)


@settings(deadline=None)
@given(scores=arrays(np.float64, st.integers(0, 20), elements=st.integers(0, 3)), slope=some_slope)
def test_first_order_is_a_stable_sort(scores, slope):
    order, log_odds = next(best_orders(scores, slope))
    assert order.tolist() == sorted(range(len(scores)), key=scores.tolist().__getitem__)
    assert log_odds == 0


@pytest.mark.parametrize("step", [0.0, 1.0])
def test_orders_of_a_long_document_come_at_once(step):
    start = time.perf_counter()
    ranked = list(islice(best_orders(step * np.arange(50.0), 1.0), 100))
    assert time.perf_counter() - start < 1  # Measured: .008 seconds.
    assert len({tuple(order) for order, _ in ranked}) == 100


@settings(deadline=None)
@given(scores=some_scores, slope=some_slope)
def test_sum_is_that_of_all_orders(scores, slope):
    assert sum_orders(scores, slope) == pytest.approx(sum(map(math.exp, log_odds_of_all(scores, slope).values())))


def test_sum_of_many_orders_that_tie_is_their_number():
    assert sum_orders(np.zeros(12), 1.0) == math.factorial(12)
    with pytest.raises(ValueError, match="orders of 13 sentences are too many to be summed up; those of 12 are not"):
        sum_orders(np.zeros(13), 1.0)


def test_sum_does_not_overflow():
    assert sum_orders(np.array([0.0, 1e4, -1e4]), 10.0) == 1.0


@settings(deadline=None)
@given(scores=some_scores, slope=some_slope, threshold=st.floats(0.5, 1))
def test_groups_are_parted_where_neighbours_are_sure(scores, slope, threshold):
    groups = tie_groups(scores, slope, threshold)
    assert sum(groups, []) == np.argsort(scores, kind="stable").tolist()
    assert all(groups)

    def is_sure(pair):
        return gap_probabilities(scores[pair[1]] - scores[pair[0]], slope) >= threshold

    assert not any(is_sure(pair) for group in groups for pair in pairwise(group))
    assert all(is_sure((before[-1], after[0])) for before, after in pairwise(groups))
