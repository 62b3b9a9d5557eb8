"""Figures in plain words: is the model good on this text, where is it wrong, can its confidence be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .results import Result
from .statistics import Measurement
from .tables import format_length

# Shares of pairs in the right order, of which chance has a half: Kendall's taus of 0.8 and 0.5.
GOOD_PAIRS, FAIR_PAIRS = 0.9, 0.75
# Expected calibration errors.
TRUSTED_ERROR, ROUGH_ERROR = 0.03, 0.08
# Fewer documents say nothing about a group of lengths, or about probabilities.
ENOUGH_DOCUMENTS = 20

Level = Literal["good", "fair", "poor", "unknown"]


@dataclass
class Finding:
    """The answer to one question: a verdict of a few words, and the figures that it comes from."""

    question: str
    verdict: str
    level: Level
    reason: str


def summarize(result: Result, results: Sequence[Result]) -> list[Finding]:
    """Answer the three questions that a reader has about a model on a corpus.

    A verdict is not better than what the lower end of the 95 % interval gives.

    Args:
        result: What the model reaches, on at least one document.
        results: What all systems reach on the corpus, baselines among them.

    Returns:
        The answers.
    """
    return [_judge(result, results), _locate_errors(result.measurement), _judge_confidence(result.measurement)]


def explain_thresholds() -> str:
    """Say where the verdicts of `summarize` change."""
    return (
        f"Good is at least {GOOD_PAIRS:.0%} of pairs in the right order, fair {FAIR_PAIRS:.0%}, both by the lower end "
        f"of the 95% interval. Confidence can be trusted if it is off by at most {100 * TRUSTED_ERROR:.0f} points on "
        f"average, roughly if by at most {100 * ROUGH_ERROR:.0f}. Nothing is said of fewer than {ENOUGH_DOCUMENTS} "
        "documents."
    )


def _judge(result: Result, results: Sequence[Result]) -> Finding:
    question = "Is it good on this text?"
    tau, whole = result.measurement.metrics["kendall_tau"], result.measurement.metrics["pmr"].mean
    baselines = {other.system: other.measurement.metrics["kendall_tau"].mean for other in results if other.baseline}
    reason = f"{_pairs(tau.mean):.0%} of the pairs of sentences are in the right order, where chance has 50%"
    best = max(baselines, key=lambda name: baselines[name], default=None)
    if best is not None and _pairs(baselines[best]) >= 0.505:
        reason += f" and the best baseline, {best}, {_pairs(baselines[best]):.0%}"
    reason += f". {whole:.0%} of the documents are wholly right."
    if tau.interval is None or result.measurement.documents < ENOUGH_DOCUMENTS:
        return Finding(question, "Too few documents to tell", "unknown", reason)
    lowest = tau.interval[0]
    if lowest <= 0:
        return Finding(question, "No, not surely better than chance", "poor", reason)
    if best is not None and tau.mean <= baselines[best]:
        return Finding(question, "No, not better than a baseline", "poor", reason)
    if _pairs(lowest) >= GOOD_PAIRS:
        return Finding(question, "Yes, good", "good", reason)
    if _pairs(lowest) >= FAIR_PAIRS:
        return Finding(question, "Fair", "fair", reason)
    return Finding(question, "Weak, though better than chance", "poor", reason)


def _locate_errors(measurement: Measurement) -> Finding:
    question, metrics = "Where is it wrong?", measurement.metrics
    first, last, near = (metrics[name].mean for name in ("first", "last", "within_1"))
    reason = (
        f"It finds the first sentence of {first:.0%} of the documents, and the last of {last:.0%}; {near:.0%} of all "
        "sentences stand at most one place from where they belong."
    )
    tau = metrics["kendall_tau"].mean
    # Not by chance: all of the interval lies below the mean of all documents.
    weak = [
        group
        for group in measurement.by_length
        if group.documents >= ENOUGH_DOCUMENTS and group.interval is not None and group.interval[1] < tau
    ]
    if metrics["pmr"].mean == 1:
        return Finding(question, "Nowhere", "good", reason)
    if weak:
        worst = min(weak, key=lambda group: group.kendall_tau)
        length = format_length(worst.shortest, worst.longest)
        reason = f"Of {length} sentences, {_pairs(worst.kendall_tau):.0%} of the pairs are in the right order. {reason}"
        longer = [group.kendall_tau for group in measurement.by_length if group.shortest > worst.longest]
        if longer and max(longer) < tau:
            length = f"{worst.shortest} and more"
        return Finding(question, f"Most in documents of {length} sentences", "fair", reason)
    if first == last:
        return Finding(question, "At beginnings and ends alike", "fair", reason)
    return Finding(question, f"More at {'ends' if last < first else 'beginnings'} of documents", "fair", reason)


def _judge_confidence(measurement: Measurement) -> Finding:
    question, error = "Can I trust its confidence?", measurement.calibration_error
    groups = [(group.probability, group.right, group.pairs) for group in measurement.gaps]
    told = [(probability, right, pairs) for probability, right, pairs in groups if probability is not None]
    if error is None or not told:
        return Finding(question, "It tells none", "unknown", "`fit_confidence` fits it on held-out documents.")
    pairs = sum(count for *_, count in told)
    excess = sum((probability - right) * count for probability, right, count in told) / pairs
    probability, right, _ = min(told, key=lambda group: abs(group[0] - 0.9))
    reason = (
        f"Of the pairs of which it says {probability:.0%}, {right:.0%} are in the right order; on average over all "
        f"pairs it is off by {100 * error:.1f} points."
    )
    if measurement.documents < ENOUGH_DOCUMENTS:
        return Finding(question, "Too few documents to tell", "unknown", reason)
    if error <= TRUSTED_ERROR:
        return Finding(question, "Yes", "good", reason)
    direction = "too sure" if excess > 0 else "not sure enough"
    if error <= ROUGH_ERROR:
        return Finding(question, f"Roughly: it is {direction}", "fair", reason)
    return Finding(question, f"No: it is {direction}", "poor", reason)


def _pairs(tau: float) -> float:
    """Turn a tau into the share of pairs in the right order."""
    return (1 + tau) / 2
