import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from transformers import EvalPrediction

from sentence_ordering.model.confidence import order_confidence, pair_probabilities
from sentence_ordering.training.calibration import fit_confidence, score_gaps

FINITE = st.floats(-1e6, 1e6)


@pytest.fixture
def noisy_pairs():
    """Scores of 20,000 documents of two sentences, which are in the right order with probability sigmoid(1.5 * gap)."""
    rng = np.random.default_rng(0)
    scores = np.stack([np.zeros(20_000), rng.normal(scale=2, size=20_000)], axis=1)
    first_is_earlier = rng.random(20_000) < 1 / (1 + np.exp(-1.5 * scores[:, 1]))
    return EvalPrediction(scores, np.where(first_is_earlier[:, None], [[0, 1]], [[1, 0]]))


def test_slope_of_simulated_pairs_is_found(noisy_pairs):
    assert fit_confidence(noisy_pairs) == pytest.approx(1.5, rel=0.05)


def test_slope_shrinks_as_scores_grow(noisy_pairs):
    larger = EvalPrediction(noisy_pairs.predictions * 100, noisy_pairs.label_ids)
    assert fit_confidence(larger) == pytest.approx(0.015, rel=0.05)


def test_probabilities_are_as_often_right_as_they_say(noisy_pairs):
    slope = fit_confidence(noisy_pairs)
    gaps = score_gaps(noisy_pairs.predictions, noisy_pairs.label_ids)
    certainty = 1 / (1 + np.exp(-slope * np.abs(gaps)))
    for low, high in ((0.5, 0.6), (0.6, 0.8), (0.8, 0.95), (0.95, 1.0)):
        here = (certainty >= low) & (certainty < high)
        assert (gaps[here] > 0).mean() == pytest.approx(certainty[here].mean(), abs=0.02)


def test_slope_stays_finite_where_no_pair_is_wrong():
    slope = fit_confidence(EvalPrediction(np.array([[0.0, 1.0, 2.0]]), np.array([[0, 1, 2]])))
    assert 0 < slope < 100


def test_equal_gaps_that_are_always_right_make_sure():
    slope = fit_confidence(EvalPrediction(np.array([[0.0, 2.0]] * 50), np.array([[0, 1]] * 50)))
    assert order_confidence(np.array([0.0, 2.0]), slope) > 0.95


@pytest.mark.parametrize(
    ("scores", "labels", "slope"),
    [
        ([[1.0, 0.0]] * 9, [[0, 1]] * 9, 0.0),
        ([[1.0, 1.0]], [[0, 1]], 0.0),
        ([[1.0, -100.0]], [[0, -100]], None),
    ],
    ids=["worse than chance", "equal scores", "no pairs"],
)
def test_models_that_know_nothing(scores, labels, slope):
    assert fit_confidence(EvalPrediction(np.array(scores), np.array(labels))) == slope


def test_gaps_leave_padding_out():
    gaps = score_gaps(np.array([[5.0, 2.0, 1.0], [0.5, 2.0, -100.0]]), np.array([[2, 0, 1], [1, 0, -100]]))
    assert sorted(gaps.tolist()) == [-1.5, -1.0, 3.0, 4.0]


def test_a_long_document_does_not_outweigh_the_others():
    labels = np.full((4, 300), -100)
    labels[0] = np.arange(300)
    labels[1:, :2] = [1, 0]
    gaps = score_gaps(np.arange(300.0)[None].repeat(4, axis=0), labels)
    assert (gaps > 0).sum() == 100
    assert (gaps < 0).sum() == 3


def test_scores_of_a_diverged_model_are_left_out_with_a_warning(noisy_pairs, caplog):
    scores = np.concatenate([noisy_pairs.predictions, [[np.nan, 1.0], [np.inf, 0.0]]])
    labels = np.concatenate([noisy_pairs.label_ids, [[0, 1], [0, 1]]])
    assert fit_confidence(EvalPrediction(scores, labels)) == pytest.approx(1.5, rel=0.05)
    assert "2 of 20002 gaps between scores are not finite: training has diverged" in caplog.text
    assert fit_confidence(EvalPrediction(np.full((1, 2), np.nan), np.array([[0, 1]]))) is None


def test_metrics_are_refused_because_nothing_can_be_fitted_on_them():
    with pytest.raises(TypeError, match=r"These are metrics.*Give what `trainer.predict\(rows\)` returns"):
        fit_confidence({"eval_kendall_tau": 0.5})


@given(arrays(np.float64, st.integers(0, 6), elements=FINITE), st.floats(0, 100))
def test_probabilities_of_both_directions_add_up_to_one(scores, slope):
    probabilities = pair_probabilities(scores, slope)
    assert probabilities.shape == (len(scores), len(scores))
    np.testing.assert_allclose(probabilities + probabilities.T, 1)
    assert (np.diag(probabilities) == 0.5).all()


@given(arrays(np.float64, st.integers(2, 6), elements=FINITE), st.floats(0, 100))
def test_confidence_is_at_least_that_of_chance_and_no_matter_of_order(scores, slope):
    confidence = order_confidence(scores, slope)
    assert 0.5 <= confidence <= 1
    assert order_confidence(scores[::-1], slope) == pytest.approx(confidence)


def test_confidence_is_the_mean_over_pairs():
    # Gaps of 1, 1 and 2 at this slope: odds of 3, 3 and 9.
    assert order_confidence(np.array([2.0, 0.0, 1.0]), np.log(3)) == pytest.approx((0.75 + 0.75 + 0.9) / 3)


@pytest.mark.parametrize("scores", [[], [3.0]])
def test_documents_of_one_order_are_certain(scores):
    assert order_confidence(np.array(scores), 1.0) == 1.0
