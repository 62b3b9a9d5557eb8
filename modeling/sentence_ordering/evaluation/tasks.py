"""How good answers about documents in order are: where a sentence belongs, and how coherent an order is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import bootstrap

from ..model.coherence import better_than_random, place_probabilities, sentence_coherence
from ..training.gaps import expected_calibration_error
from .measuring import Corpus, Orderer, natural_order
from .statistics import Estimate, bootstrap_intervals

# Number of random orders that each document's own is compared with.
RANDOM_ORDERS = 20
CALIBRATION_ERROR = "calibration_error"


@dataclass
class Trials:
    """What came of asking about one document in several ways.

    Args:
        figures: Means over the trials.
        probabilities: What the model said, shape `(trials,)`.
        right: Whether it was so, of the same shape.
    """

    figures: dict[str, float]
    probabilities: np.ndarray
    right: np.ndarray


@dataclass
class TaskMeasurement:
    """What a model reaches on one corpus at a task other than ordering.

    Args:
        figures: Those of the task, and `calibration_error`, the expected calibration error of its probabilities.
        documents: Number of documents that count.
        documents_skipped: Number of those of fewer than two sentences, or of unknown order.
    """

    figures: dict[str, Estimate]
    documents: int
    documents_skipped: int


def try_insertion(scores: np.ndarray, slope: float, rng: np.random.Generator) -> Trials:
    """Take each sentence out of a document, and put it back where it most probably belongs.

    Args:
        scores: One per sentence, in natural order, floats of shape `(sentences,)`.
        slope: `config.confidence_slope`.
        rng: Not used: all sentences are tried.

    Returns:
        `right`, the share of sentences whose most probable place is the right one; `chance`, that of random places;
        `off`, by how many places they are off; and the probabilities of the places chosen.

    Example:
        >>> try_insertion(np.array([0.0, 1.0, 2.0]), 1.0, np.random.default_rng()).figures["right"]
        1.0
    """
    count = len(scores)
    # The model reads sentences in an order that depends on their texts alone, so that taking one out and inserting it
    # gives it, and all others, the same scores as leaving it where it is.
    probabilities = np.concatenate(
        [place_probabilities(np.delete(scores, i), scores[i : i + 1], slope) for i in range(count)]
    )
    places = probabilities.argmax(axis=1)
    off = np.abs(places - np.arange(count))
    figures = {"right": float((off == 0).mean()), "chance": 1 / count, "off": float(off.mean())}
    return Trials(figures, probabilities.max(axis=1), off == 0)


def try_coherence(scores: np.ndarray, slope: float, rng: np.random.Generator) -> Trials:
    """Compare the coherence of a document's order with that of random ones, and with two neighbours swapped.

    Args:
        scores: One per sentence, in natural order, floats of shape `(sentences,)`; at least two.
        slope: `config.confidence_slope`.
        rng: Draws the random orders, which differ from the document's own.

    Returns:
        `over_random` and `over_swapped`, how often the document's own order is the more coherent one, draws counting a
        half; and `better_than_random` of the document's own order, as often as of the random ones.

    Example:
        >>> try_coherence(np.array([0.0, 2.0, 1.0]), 1.0, np.random.default_rng()).figures["over_swapped"]
        0.5
    """
    count = len(scores)
    orders: list[np.ndarray] = []
    while len(orders) < RANDOM_ORDERS:
        order = rng.permutation(count)
        if (order != np.arange(count)).any():
            orders.append(order)
    own = sentence_coherence(scores, slope).mean()
    random = np.array([sentence_coherence(scores[order], slope).mean() for order in orders])
    # Swapping neighbours changes their own pair only.
    figures = {"over_random": _share_won(own - random), "over_swapped": _share_won(slope * np.diff(scores))}
    probabilities = [better_than_random(scores[order], slope) for order in orders]
    return Trials(
        figures,
        np.array([better_than_random(scores, slope)] * RANDOM_ORDERS + probabilities),
        np.repeat([True, False], RANDOM_ORDERS),
    )


TASKS: dict[str, Callable[[np.ndarray, float, np.random.Generator], Trials]] = {
    "insert": try_insertion,
    "coherence": try_coherence,
}


def measure_task(
    task: str, score: Orderer, corpus: Corpus, *, confidence_slope: float, seed: int
) -> tuple[TaskMeasurement, list[dict[str, Any]]]:
    """Measure a model at a task on a corpus.

    Args:
        task: A key of `TASKS`.
        score: Tells the `scores` of documents in natural order, without knowing that order: the pipeline with
            `answer="score"`.
        corpus: The documents.
        confidence_slope: The model's.
        seed: Seed of the random orders and of the bootstrap.

    Returns:
        The figures, and for each document that counts its `row`, `scores` and own figures.
    """
    rng = np.random.default_rng(seed)
    rows: deque[int] = deque()

    def documents() -> Iterator[list[str]]:
        for row, document in enumerate(corpus.documents):
            sentences = natural_order(document)
            if sentences is not None and len(sentences) >= 2:
                rows.append(row)
                yield sentences

    trials: list[Trials] = []
    predictions = []
    for answer in score(documents()):
        scores = np.array(answer["scores"])
        trials.append(TASKS[task](scores, confidence_slope, rng))
        predictions.append({"row": rows.popleft(), "scores": answer["scores"], **trials[-1].figures})
    skipped = len(corpus.documents) - len(trials)
    return TaskMeasurement(_estimate(trials, rng), len(trials), skipped), predictions


def _estimate(trials: list[Trials], rng: np.random.Generator) -> dict[str, Estimate]:
    """Average over documents, each with the same weight, and compute the calibration error over all trials."""
    if not trials:
        return {}
    values = {name: np.array([trial.figures[name] for trial in trials]) for name in trials[0].figures}
    intervals = bootstrap_intervals(values, np.ones(len(trials)), rng)
    estimates = {name: Estimate(float(value.mean()), intervals[name], None) for name, value in values.items()}
    return estimates | {CALIBRATION_ERROR: _estimate_calibration(trials, rng)}


def _estimate_calibration(trials: list[Trials], rng: np.random.Generator) -> Estimate:
    """Compute the expected calibration error, and from its bootstrap standard error over documents an interval.

    Not from percentiles: resampling adds to the error what sampling has added to it already, so that they may all lie
    above it.
    """

    def error_of(documents: np.ndarray) -> float:
        chosen = [trials[index] for index in documents.astype(int)]
        return expected_calibration_error(
            np.concatenate([trial.probabilities for trial in chosen]), np.concatenate([trial.right for trial in chosen])
        )

    everything = np.arange(len(trials))
    error, interval = error_of(everything), None
    if len(trials) >= 2:
        resampled = bootstrap((everything,), error_of, vectorized=False, n_resamples=200, method="percentile", rng=rng)
        margin = 1.96 * float(resampled.standard_error)
        interval = (max(0.0, error - margin), error + margin)
    return Estimate(error, interval, None)


def _share_won(differences: np.ndarray) -> float:
    return float(np.mean((differences > 0) + 0.5 * (differences == 0)))
