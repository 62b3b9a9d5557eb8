import numpy as np
import pytest

from sentence_ordering.evaluation.results import Result
from sentence_ordering.evaluation.statistics import Estimate, LengthGroup, Measurement
from sentence_ordering.evaluation.summary import summarize
from sentence_ordering.training.gaps import GapGroup


def measured(tau, interval, *, error=None, groups=(), lengths=(), documents=100, first=0.8, last=0.6, pmr=0.25):
    values = {"pmr": pmr, "first": first, "last": last, "within_1": 0.7}
    metrics = {name: Estimate(value, None, None) for name, value in values.items()}
    return Measurement(
        metrics=metrics | {"kendall_tau": Estimate(tau, interval, None)},
        documents=documents,
        documents_skipped=0,
        same_order=None,
        agreement=None,
        by_length=[LengthGroup(*length) for length in lengths],
        gaps=[GapGroup(0.0, right, probability, 10) for probability, right in groups],
        calibration_error=error,
        parts=np.eye(10),
        displacements=np.zeros(10),
        worst=[],
    )


def verdicts(measurement, *baselines):
    others = [Result(name, True, measured(tau, (tau, tau))) for name, tau in baselines]
    model = Result("model", False, measurement)
    return [(finding.verdict, finding.level, finding.reason) for finding in summarize(model, [model, *others])]


@pytest.mark.parametrize(
    ("tau", "interval", "documents", "verdict", "level"),
    [
        (0.9, (0.8, 0.95), 100, "Yes, good", "good"),
        (0.9, (0.79, 0.95), 100, "Fair", "fair"),
        (0.6, (0.5, 0.7), 100, "Fair", "fair"),
        (0.6, (0.49, 0.7), 100, "Weak, though better than chance", "poor"),
        (0.3, (0.0, 0.6), 100, "No, not surely better than chance", "poor"),
        (0.2, (0.1, 0.3), 100, "No, not better than a baseline", "poor"),
        (0.9, (0.8, 0.95), 19, "Too few documents to tell", "unknown"),
        (1.0, None, 1, "Too few documents to tell", "unknown"),
    ],
)
def test_verdict_goes_by_the_lower_end_of_the_interval(tau, interval, documents, verdict, level):
    found = verdicts(measured(tau, interval, documents=documents), ("random order", -0.01), ("bag of words", 0.2))[0]
    assert found[:2] == (verdict, level)


def test_reason_tells_pairs_baseline_and_whole_documents():
    assert verdicts(measured(0.6, (0.5, 0.7)), ("bag of words", 0.2))[0][2] == (
        "80% of the pairs of sentences are in the right order, where chance has 50% and the best baseline, bag of "
        "words, 60%. 25% of the documents are wholly right."
    )
    assert "baseline" not in verdicts(measured(0.6, (0.5, 0.7)), ("random order", 0.001))[0][2]


def test_lengths_are_blamed_only_beyond_chance():
    short, long = (2, 5, 80, 0.7, (0.6, 0.8)), (6, 10, 20, 0.4, (0.3, 0.59))
    assert verdicts(measured(0.6, (0.5, 0.7), lengths=[short, long]))[1][0] == "Most in documents of 6–10 sentences"
    longer = (11, 15, 3, 0.5, None)
    found = verdicts(measured(0.6, (0.5, 0.7), lengths=[short, long, longer]))[1]
    assert found[0] == "Most in documents of 6 and more sentences"
    assert found[2].startswith("Of 6–10 sentences, 70% of the pairs are in the right order.")
    unsure, few = (6, 10, 20, 0.4, (0.3, 0.61)), (6, 10, 19, 0.4, (0.3, 0.59))
    for group in (unsure, few):
        found = verdicts(measured(0.6, (0.5, 0.7), lengths=[short, group]))[1]
        assert found[0] == "More at ends of documents"
    assert verdicts(measured(0.6, (0.5, 0.7), first=0.5))[1][0] == "More at beginnings of documents"
    assert verdicts(measured(1.0, (1.0, 1.0), first=1.0, last=1.0, pmr=1))[1][0] == "Nowhere"


@pytest.mark.parametrize(
    ("error", "groups", "documents", "verdict"),
    [
        (0.03, [(0.55, 0.58), (0.88, 0.85)], 100, "Yes"),
        (0.05, [(0.6, 0.55), (0.9, 0.85)], 100, "Roughly: it is too sure"),
        (0.05, [(0.6, 0.65), (0.9, 0.95)], 100, "Roughly: it is not sure enough"),
        (0.2, [(0.7, 0.5), (0.9, 0.7)], 100, "No: it is too sure"),
        (0.2, [(0.7, 0.5), (0.9, 0.7)], 19, "Too few documents to tell"),
        (None, [(None, 0.5)], 100, "It tells none"),
    ],
)
def test_confidence_is_trusted_by_its_calibration_error(error, groups, documents, verdict):
    found = verdicts(measured(0.6, (0.5, 0.7), error=error, groups=groups, documents=documents))[2]
    assert found[0] == verdict
    if error == 0.05:
        assert found[2].startswith(f"Of the pairs of which it says 90%, {groups[1][1]:.0%} are in the right order;")
