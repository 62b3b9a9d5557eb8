import doctest
import math
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sentence_ordering.model import coherence
from sentence_ordering.model.alternatives import sum_orders
from sentence_ordering.model.coherence import (
    Move,
    better_than_random,
    log_mean_odds,
    place_log_odds,
    place_probabilities,
    sentence_coherence,
    weakest_place,
)
from sentence_ordering.model.confidence import order_confidence, pair_probabilities

some_scores = arrays(np.float64, st.integers(0, 5), elements=st.floats(-5, 5, width=16))
some_slope = st.floats(0, 4, width=16)


def log_probability(scores, slope):
    """Of an order, from the pairs themselves: log sigmoid(x) is -log(1 + exp(-x))."""
    return -sum(np.logaddexp(0, -slope * (later - earlier)) for earlier, later in combinations(scores, 2))


def sigmoid(log_odds):
    return 1 / (1 + math.exp(-log_odds))


def test_examples():
    assert doctest.testmod(coherence).failed == 0


@settings(deadline=None)
@given(scores=some_scores, slope=some_slope)
def test_sentences_share_their_pairs(scores, slope):
    pairs = pair_probabilities(scores, slope)
    for i, share in enumerate(sentence_coherence(scores, slope)):
        right = [pairs[min(i, j), max(i, j)] for j in range(len(scores)) if j != i]
        assert share == pytest.approx(np.mean(right) if right else 1.0)


@settings(deadline=None)
@given(scores=some_scores, slope=some_slope)
def test_coherence_of_the_order_of_the_scores_is_its_confidence(scores, slope):
    shares = sentence_coherence(np.sort(scores), slope)
    assert (shares.mean() if len(shares) else 1.0) == pytest.approx(order_confidence(scores, slope))


@settings(deadline=None)
@given(scores=some_scores, slope=st.floats(0, 1, width=16))
def test_order_is_the_right_one_or_a_random_other_one(scores, slope):
    count = len(scores)
    slope_of_all = slope * 2 / math.sqrt(count) if count else slope
    odds = [math.exp(log_probability(scores[list(order)], slope_of_all)) for order in permutations(range(count))]
    if count < 2:
        assert better_than_random(scores, slope) == 0.5
    else:
        given_order, another = odds[0], np.mean(odds[1:])
        assert better_than_random(scores, slope) == pytest.approx(given_order / (given_order + another), abs=1e-6)


@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_all_orders_of_many_sentences_are_estimated(spread):
    scores = np.sort(np.random.default_rng(0).normal(size=12)) * spread
    centred = scores - scores.mean()
    exact = centred @ np.arange(12) + math.log(sum_orders(scores, 1.0)) - math.lgamma(13)
    assert log_mean_odds(centred) == pytest.approx(exact, abs=0.1 + 0.02 * exact)


@pytest.mark.parametrize("count", [12, 50, 100, 150, 300])
@pytest.mark.parametrize("spread", [0.01, 0.1, 1.0, 5.0])
def test_no_order_outweighs_the_sum_of_all(count, spread):
    scores = np.sort(np.random.default_rng(count).normal(size=count)) * spread
    centred = scores - scores.mean()
    best = centred @ np.arange(count)
    assert best - math.lgamma(count + 1) < log_mean_odds(centred) < best


def test_an_order_with_its_parts_reversed_is_worse_than_a_random_one():
    scores = 0.6 * np.arange(100.0).reshape(-1, 20)[:, ::-1].ravel()
    assert better_than_random(scores, 0.83) < 0.01


def test_parts_stand_for_the_scores_of_long_documents(monkeypatch):
    scores = np.random.default_rng(0).normal(size=100) / 30
    centred = scores - scores.mean()
    every = log_mean_odds(centred)
    monkeypatch.setattr(coherence, "MEAN_SENTENCES", 50)
    assert log_mean_odds(centred) != every
    assert log_mean_odds(centred) == pytest.approx(every, rel=0.1)


@pytest.mark.parametrize("count", [5, 500])
def test_the_right_order_is_better_than_a_random_one_and_the_wrong_one_worse(count):
    scores = np.arange(count, dtype=np.float64)
    assert better_than_random(scores, 5.0) > 0.99
    assert better_than_random(scores[::-1], 5.0) < 0.01
    assert better_than_random(scores, 0.0) == better_than_random(np.zeros(count), 5.0) == 0.5


@settings(deadline=None)
@given(scores=some_scores, score=st.floats(-5, 5, width=16), slope=some_slope)
def test_places_have_the_odds_of_the_orders_that_they_make(scores, score, slope):
    orders = [np.insert(scores, place, score) for place in range(len(scores) + 1)]
    logs = np.array([log_probability(order, slope) for order in orders])
    assert place_log_odds(scores, score, slope) == pytest.approx(logs - logs[0], abs=1e-6)
    expected = np.exp((logs - logs.max()) * 2 / math.sqrt(len(orders)))
    [probabilities] = place_probabilities(scores, np.array([score]), slope)
    assert probabilities == pytest.approx(expected / expected.sum(), abs=1e-6)


def test_large_odds_do_not_overflow():
    assert place_probabilities(np.full(9, -1e3), np.array([1e3, -1e3]), 10.0)[:, -1] == pytest.approx([1.0, 0.1])


def test_nothing_to_insert_has_no_places():
    assert place_probabilities(np.zeros(3), np.empty(0), 1.0).shape == (0, 4)


@settings(deadline=None)
@given(scores=some_scores, slope=st.floats(0.125, 4, width=16))
def test_weakest_place_is_the_move_that_gains_most(scores, slope):
    gains = {}
    for sentence in range(len(scores)):
        for place in range(len(scores)):
            moved = np.insert(np.delete(scores, sentence), place, scores[sentence])
            gains[sentence, place] = log_probability(moved, slope) - log_probability(scores, slope)
    move = weakest_place(scores, slope)
    if move is None:
        assert all(gain < 1e-6 for gain in gains.values())
        assert (scores == np.sort(scores)).all()
    else:
        assert gains[move.sentence, move.place] == pytest.approx(max(gains.values()), abs=1e-6)
        assert move.probability == pytest.approx(sigmoid(max(gains.values())), abs=1e-6)


def test_sentence_that_wants_to_stand_earlier_is_named():
    move = weakest_place(np.array([0.0, 1.0, 3.0, 4.0, 0.5]), math.log(3))
    assert move == Move(sentence=4, place=1, probability=pytest.approx(3**6.5 / (1 + 3**6.5)))


def test_scores_that_tell_nothing_move_no_sentence():
    assert weakest_place(np.array([2.0, 1.0]), 0.0) is None
