"""What is reported: for every corpus what models and baselines reach on it, as data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..model.configuration_sentence_ordering import __version__
from ..model.encoding import invert_order
from .measuring import Answers, Corpus
from .statistics import Measurement
from .tasks import TaskMeasurement


@dataclass
class Case:
    """A document as an orderer put it: `sentences` as predicted, and the right place of each of them."""

    row: int
    kendall_tau: float
    sentences: list[str]
    right: list[int]


@dataclass
class Result:
    """What one model or baseline reaches on one corpus."""

    system: str
    baseline: bool
    measurement: Measurement
    worst: list[Case] = field(default_factory=list)


@dataclass
class TaskResult:
    """What one model reaches on one corpus at a task other than ordering."""

    corpus: str
    system: str
    measurement: TaskMeasurement


@dataclass
class CorpusResults:
    """What all systems reach on one corpus."""

    corpus: str
    results: list[Result] = field(default_factory=list)

    @property
    def models(self) -> list[Result]:
        """The results of models, without those of baselines."""
        return [result for result in self.results if not result.baseline]


@dataclass
class Settings:
    """How was measured: what `predict` was given, and in how many orders a model read each input order."""

    input_orders: int
    seed: int
    num_shuffles: int = 1


def tau_by_corpus(results: Sequence[CorpusResults]) -> dict[str, list[float | None]]:
    """Collect the tau of each system on each corpus; None where it was not measured."""
    taus = [{r.system: r.measurement.metrics["kendall_tau"].mean for r in corpus.results} for corpus in results]
    systems = dict.fromkeys(system for corpus in taus for system in corpus)
    return {system: [corpus.get(system) for corpus in taus] for system in systems}


def find_worst(measurement: Measurement, answers: Answers, corpus: Corpus) -> list[Case]:
    """Look up the text of the worst documents, in the order that the first input order led to."""
    cases = []
    for row, tau in measurement.worst:
        sentences, order = corpus.documents[row]["sentences"], invert_order(answers.places[row][0])
        cases.append(Case(row, tau, [sentences[i] for i in order], [int(answers.true[row][i]) for i in order]))
    return cases


def as_json(results: Sequence[CorpusResults], settings: Settings) -> dict[str, Any]:
    """Put results into what `json.dumps` takes; a mean over nothing, NaN, becomes None."""
    return {
        "version": __version__,
        **asdict(settings),
        "results": [
            {"corpus": corpus.corpus, "system": result.system, "baseline": result.baseline}
            | _plain(asdict(result.measurement))
            for corpus in results
            for result in corpus.results
        ],
    }


def task_as_json(results: Sequence[TaskResult], task: str, seed: int, num_shuffles: int) -> dict[str, Any]:
    """Put the results of a task other than ordering into what `json.dumps` takes."""
    return {
        "version": __version__,
        "task": task,
        "seed": seed,
        "num_shuffles": num_shuffles,
        "results": [
            {"corpus": result.corpus, "system": result.system} | _plain(asdict(result.measurement))
            for result in results
        ],
    }


def _plain(value: Any) -> Any:
    """Replace arrays by lists, and NaN by None."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
