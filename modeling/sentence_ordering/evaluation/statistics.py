"""From answers to figures: means with intervals, by length, and over input orders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import bootstrap

from ..model.confidence import gap_probabilities
from ..training.document_metrics import measure_documents
from ..training.gaps import GapGroup, expected_calibration_error, group_gaps, sample_gaps
from ..training.metrics import PER_SENTENCE, average_documents
from ..training.positions import PARTS, count_parts, sum_displacements
from .measuring import Answers

# First numbers of sentences of the groups that documents are counted in.
LENGTHS = (2, 3, 4, 5, 6, 8, 11, 16, 21, 51, 101)


Interval = tuple[float, float]


@dataclass
class Estimate:
    """A mean over documents and input orders.

    Args:
        mean: The mean; NaN over nothing.
        interval: Its 95 % interval over documents; None for fewer than two.
        spread: The standard deviation of the means over each input order; None for a single one.
    """

    mean: float
    interval: Interval | None
    spread: float | None


@dataclass
class LengthGroup:
    """The tau of documents of similar length: `shortest` to `longest` sentences."""

    shortest: int
    longest: int
    documents: int
    kendall_tau: float
    interval: Interval | None


@dataclass
class Measurement:
    """What one orderer reaches on one corpus.

    Args:
        metrics: Those of `compute_metrics` that compare orders.
        documents: Number of documents that count.
        documents_skipped: Number of those of fewer than two sentences, or of unknown order.
        same_order: How often two input orders of a document give the same answer; None for a single one.
        agreement: Mean tau between the answers to two input orders of a document; None for a single one.
        by_length: Tau by number of sentences.
        gaps: Tenths of the pairs by score gap, smallest gap first.
        calibration_error: Expected calibration error of the model's probabilities of pairs; None if it tells none.
        parts: Share of the sentences of each tenth of the document that was put into each tenth; shape
            `(predicted, true)`, columns add up to 1.
        displacements: By how many places the sentences of each tenth of the document are off; shape `(true,)`.
        worst: Rows of the documents with the lowest tau, averaged over input orders, and that tau; worst first.
    """

    metrics: dict[str, Estimate]
    documents: int
    documents_skipped: int
    same_order: float | None
    agreement: float | None
    by_length: list[LengthGroup]
    gaps: list[GapGroup]
    calibration_error: float | None
    parts: np.ndarray
    displacements: np.ndarray
    worst: list[tuple[int, float]]


def measure(answers: Answers, *, confidence_slope: float | None = None, worst: int = 10, seed: int = 0) -> Measurement:
    """Compute all figures of an orderer on a corpus.

    Documents of one length are computed at once, so that nothing is padded.

    Args:
        answers: The orderer's answers.
        confidence_slope: The model's, which turns score gaps into probabilities.
        worst: Number of the worst documents to name.
        seed: Seed of the bootstrap, and of the choice of pairs in long documents.

    Returns:
        The figures.
    """
    rng = np.random.default_rng(seed)
    counts = answers.counts()
    shuffles = len(answers.places[0]) if answers.places else 0
    nothing = np.empty((0, 2), dtype=np.int64)
    values = {name: np.full((len(counts), shuffles), np.nan) for name in _measure_rows(nothing, nothing)}
    agreement, same = np.full(len(counts), np.nan), np.full(len(counts), np.nan)
    parts, displacements = np.zeros((PARTS, PARTS)), np.zeros(PARTS)
    gaps, right = [np.empty(0, dtype=np.float32)], [np.empty(0, dtype=bool)]
    for rows, true, places, scores in _groups_of_one_length(answers, counts):
        repeated = np.repeat(true, shuffles, axis=0)
        measured = _measure_rows(scores.reshape(repeated.shape), repeated)
        for name, value in measured.items():
            values[name][rows] = value.reshape(-1, shuffles)
        parts += count_parts(places.reshape(repeated.shape), repeated)
        displacements += sum_displacements(places.reshape(repeated.shape), repeated)
        agreement[rows], same[rows] = _compare_answers(places)
        gap, is_right = sample_gaps(scores, places, true, rng)
        gaps.append(gap)
        right.append(is_right)
    counted = counts > 0
    values, counts = {name: value[counted] for name, value in values.items()}, counts[counted]
    by_document = {name: value.mean(axis=1) for name, value in values.items()}
    tau = by_document["kendall_tau"]
    lowest = np.lexsort((-counts, tau))[:worst]  # Of those equally bad, the longest.
    sentences_of_part = parts.sum(axis=0).clip(min=1e-9)
    all_gaps, all_right = np.concatenate(gaps), np.concatenate(right)
    # By gap, so that of pairs of equal probability those of smaller gaps are grouped together, as in `gaps`.
    by_gap = np.argsort(all_gaps, kind="stable")
    all_gaps, all_right = all_gaps[by_gap], all_right[by_gap]
    error = None
    if confidence_slope is not None and len(all_gaps):
        error = expected_calibration_error(gap_probabilities(all_gaps, confidence_slope), all_right)
    several = shuffles > 1 and len(counts) > 0
    intervals, spread = bootstrap_intervals(by_document, counts, rng), _spread(values, counts) if several else {}
    return Measurement(
        metrics={
            name: Estimate(mean, intervals[name], spread.get(name))
            for name, mean in average_documents(by_document, counts).items()
        },
        documents=len(counts),
        documents_skipped=int((~counted).sum()),
        same_order=float(np.nanmean(same)) if several else None,
        agreement=float(np.nanmean(agreement)) if several else None,
        by_length=_group_by_length(tau, counts, rng),
        gaps=group_gaps(all_gaps, all_right, confidence_slope),
        calibration_error=error,
        parts=parts / sentences_of_part,
        displacements=np.where(parts.any(axis=0), displacements / sentences_of_part, np.nan),
        worst=[(int(np.flatnonzero(counted)[index]), float(tau[index])) for index in lowest],
    )


def bootstrap_intervals(
    values: Mapping[str, np.ndarray], counts: np.ndarray, rng: np.random.Generator, resamples: int = 1000
) -> dict[str, Interval | None]:
    """Estimate 95 % intervals of means by drawing documents with replacement (percentile bootstrap; Efron, 1979).

    Args:
        values: For each metric its values, shape `(documents,)`.
        counts: Number of sentences of each document, the weights of the metrics in `PER_SENTENCE`.
        rng: Random generator.
        resamples: Number of resamples.

    Returns:
        For each metric the lower and the upper limit, or None for fewer than two documents, which say nothing.

    Example:
        >>> bootstrap_intervals({"pmr": np.array([0.0, 1.0])}, np.array([5, 5]), np.random.default_rng(0))
        {'pmr': (0.0, 1.0)}
    """
    if len(counts) < 2:
        return dict.fromkeys(values)
    weights = np.array([counts if name in PER_SENTENCE else np.ones(len(counts)) for name in values])
    result = bootstrap(
        (np.array(list(values.values())), weights),
        lambda value, weight, axis: (value * weight).sum(axis=axis) / weight.sum(axis=axis),
        paired=True,
        axis=-1,
        n_resamples=resamples,
        batch=max(1, 1_000_000 // weights.size),
        method="percentile",
        rng=rng,
    )
    limits = np.array(result.confidence_interval).T.tolist()
    return {name: (low, high) for name, (low, high) in zip(values, limits, strict=True)}


def _groups_of_one_length(
    answers: Answers, counts: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Stack documents of the same length.

    Yields:
        Their rows, right places `(documents, sentences)`, places and scores `(documents, shuffles, sentences)`.
    """
    for count in np.unique(counts[counts > 0]):
        rows = np.flatnonzero(counts == count)
        lists = (answers.true, answers.places, answers.scores)
        true, places, scores = (np.stack([arrays[row] for row in rows]) for arrays in lists)
        yield rows, true, places, scores


def _measure_rows(scores: np.ndarray, true: np.ndarray) -> dict[str, np.ndarray]:
    """Measure documents that all have as many sentences as the arrays have columns, sorted by scores or places."""
    return measure_documents(scores, true, np.full(true.shape, True))


def _compare_answers(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compare the answers to different input orders; `places` has shape `(documents, shuffles, sentences)`.

    Returns:
        For each document the mean tau over pairs of answers, and the share of pairs that are the same; NaN for one.
    """
    pairs = list(combinations(range(places.shape[1]), 2))
    if not pairs:
        return np.full(len(places), np.nan), np.full(len(places), np.nan)
    measured = [_measure_rows(places[:, one], places[:, other]) for one, other in pairs]
    tau, same = (np.mean([values[name] for values in measured], axis=0) for name in ("kendall_tau", "pmr"))
    return tau, same


def _spread(values: Mapping[str, np.ndarray], counts: np.ndarray) -> dict[str, float]:
    """Return the standard deviation of each metric over input orders; values have shape `(documents, shuffles)`."""
    shuffles = next(iter(values.values())).shape[1]
    means = [average_documents({name: v[:, k] for name, v in values.items()}, counts) for k in range(shuffles)]
    return {name: float(np.std([mean[name] for mean in means], ddof=1)) for name in values}


def _group_by_length(tau: np.ndarray, counts: np.ndarray, rng: np.random.Generator) -> list[LengthGroup]:
    """Average tau over documents of similar length."""
    group_of = np.searchsorted(LENGTHS, counts, side="right") - 1
    groups = []
    for group in np.unique(group_of):
        chosen = group_of == group
        taus, lengths = tau[chosen], counts[chosen]
        groups.append(
            LengthGroup(
                shortest=LENGTHS[group],
                longest=LENGTHS[group + 1] - 1 if group + 1 < len(LENGTHS) else int(lengths.max()),
                documents=len(taus),
                kendall_tau=float(taus.mean()),
                interval=bootstrap_intervals({"kendall_tau": taus}, lengths, rng)["kendall_tau"],
            )
        )
    return groups
