import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sentence_ordering.model.losses import LOSSES, list_mle, pairwise_logistic, regression_targets, squared_errors


def naive_squared_errors(scores, positions):
    return sum((score - position) ** 2 for score, position in zip(scores, positions, strict=True))


def naive_pairwise_logistic(scores, positions):
    total = 0.0
    for a, earlier in enumerate(positions):
        for b, later in enumerate(positions):
            if earlier < later:
                total += math.log1p(math.exp(scores[a] - scores[b]))
    return total * 2 / max(len(scores) - 1, 1)


def naive_list_mle(scores, positions):
    left = [score for _, score in sorted(zip(positions, scores, strict=True))]
    total = 0.0
    while left:
        total -= math.log(math.exp(-left[0]) / sum(math.exp(-score) for score in left))
        left.pop(0)
    return total


NAIVE = {
    squared_errors: naive_squared_errors,
    pairwise_logistic: naive_pairwise_logistic,
    list_mle: naive_list_mle,
}


@st.composite
def documents(draw):
    """Scores and positions of documents of one to six sentences."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    scores = [draw(st.lists(st.floats(-9, 9, width=32), min_size=n, max_size=n)) for n in sizes]
    return scores, [draw(st.permutations(range(n))) for n in sizes]


def pad(rows, value):
    width = max(map(len, rows)) + 1
    return torch.tensor([[*map(float, row), *[value] * (width - len(row))] for row in rows])


@pytest.mark.parametrize("loss", LOSSES.values())
@given(documents())
def test_loss_equals_a_loop_over_documents(loss, batch):
    scores, positions = batch
    # Slots without a sentence hold the score of an empty vector, which can be anything.
    losses = loss(pad(scores, 3.25), pad(positions, -100), pad(positions, -100) != -100)
    expected = [NAIVE[loss](*document) for document in zip(scores, positions, strict=True)]
    assert losses.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("loss", LOSSES.values())
def test_slots_without_a_sentence_get_no_gradient(loss):
    scores = torch.tensor([[0.5, 2.0, 1.0, 7.0]], requires_grad=True)
    loss(scores, torch.tensor([[1.0, 0.0, 2.0, -100.0]]), torch.tensor([[True, True, True, False]])).sum().backward()
    assert scores.grad[0, 3] == 0
    assert (scores.grad[0, :3] != 0).all()


@pytest.mark.parametrize("loss", LOSSES.values())
def test_extreme_scores_keep_loss_and_gradient_finite(loss):
    scores = torch.tensor([[1e4, -1e4, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    valid = torch.tensor([[True, True, True], [False, False, False]])
    losses = loss(scores, torch.tensor([[0.0, 1.0, 2.0]]).repeat(2, 1), valid)
    losses.sum().backward()
    assert losses.isfinite().all()
    assert losses[1] == 0
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES.values())
def test_loss_stays_float32_under_bfloat16_autocast(loss):
    scores, positions = torch.randn(4, 9), torch.arange(9.0).repeat(4, 1)
    valid = torch.ones(4, 9, dtype=torch.bool)
    expected = loss(scores, positions, valid)
    with torch.autocast("cpu", torch.bfloat16):
        actual = loss(scores, positions, valid)
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("loss", [pairwise_logistic, list_mle])
def test_gradient_step_moves_scores_towards_the_right_order(loss):
    scores = torch.zeros(1, 3, requires_grad=True)
    loss(scores, torch.tensor([[2.0, 0.0, 1.0]]), torch.ones(1, 3, dtype=torch.bool)).sum().backward()
    assert (-scores.grad).argsort().tolist() == [[1, 2, 0]]


def test_sentences_weigh_the_same_in_short_and_long_documents():
    for n in (2, 5, 20):
        loss = pairwise_logistic(torch.zeros(1, n), torch.arange(float(n))[None], torch.ones(1, n, dtype=torch.bool))
        assert loss.item() / n == pytest.approx(math.log(2), rel=1e-5)


def test_scaled_positions_end_at_four():
    counts = np.array([[3], [5]])
    positions = np.array([[0.0, 1.0, 2.0], [0.0, 2.0, 4.0]])
    assert regression_targets(positions, counts, True).tolist() == [[0, 2, 4], [0, 2, 4]]
    assert regression_targets(positions, counts, False) is positions


def test_single_sentence_has_a_finite_target():
    assert regression_targets(np.array([[0.0]]), np.array([[1]]), True).tolist() == [[0.0]]


@pytest.mark.parametrize("sizes", [(2, 30), (3, 30), (3, 100)])
def test_scaling_makes_documents_of_any_length_comparable(sizes):
    def expected_error(n):
        targets = regression_targets(np.arange(n, dtype=float)[None], np.array([[n]]), True)
        return targets.var()

    errors = [expected_error(n) for n in sizes]
    assert max(errors) / min(errors) <= 3
