"""What the page asks orderers, which are loaded when they are first asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..commands import loading
from ..model.coherence import sentence_coherence
from ..model.confidence import gap_probabilities
from ..training.metrics import measure_documents
from .document import Document

# Batches of so many rows: small, so that the progress of a long document is told often.
BATCH_SIZE = 8
# Orderers that are kept in memory.
KEPT = 4


@dataclass
class Answer:
    """How an orderer puts a document in order.

    Args:
        order: `order[k]` is the index, in the order given, of the sentence read k-th.
        sentences: The sentences in reading order.
        confidence: The share of all pairs that is expected to be in the right order; `None` if the model tells none.
        sure: For each sentence, in reading order, the share of its pairs; `None` if the model tells none.
        scores: The scores in reading order.
        slope: The model's `confidence_slope`.
    """

    order: list[int]
    sentences: list[str]
    confidence: float | None
    sure: list[float] | None
    scores: np.ndarray
    slope: float | None

    def pair_probabilities(self, places: Sequence[int]) -> np.ndarray:
        """Compute the probabilities that sentences are read before others; needs a slope.

        Args:
            places: Places, in reading order, of the sentences to compare.

        Returns:
            Shape `(places, places)`; `[i, j]` that the i-th comes before the j-th.
        """
        assert self.slope is not None
        scores = self.scores[list(places)]
        return gap_probabilities(scores[None, :] - scores[:, None], self.slope)


@lru_cache(maxsize=KEPT)
def load_orderer(model: str) -> Any:
    """Load an orderer's pipeline.

    Args:
        model: Its name, folder or Hub id.

    Returns:
        The pipeline.

    Raises:
        OSError: If there is none.
        ValueError: If it is no orderer.
    """
    if not model:
        raise ValueError("No model is named. Name general, which comes with the package, or a folder or Hub id.")
    return loading.load_orderer(model, batch_size=BATCH_SIZE)


def order_document(model: str, document: Document, progress: Callable[[int], Any]) -> Answer:
    """Put a document in order, with its locks.

    Args:
        model: Name, folder or Hub id of an orderer.
        document: The document.
        progress: Called after every batch of rows that the model has read.

    Returns:
        The answer.

    Raises:
        OSError: If there is no such model.
        ValueError: If it is no orderer, or the locks contradict each other.
    """
    orderer = load_orderer(model)
    answer, slope = orderer(document.request(), progress=progress), orderer.model.config.confidence_slope
    scores = np.array(answer["scores"])
    sure = None if slope is None else sentence_coherence(scores, slope).tolist()
    return Answer(answer["order"], answer["sentences"], answer["confidence"], sure, scores, slope)


def insert_sentence(model: str, document: Document, sentence: str, progress: Callable[[int], Any]) -> list[float]:
    """Find the place of one more sentence in a document, whose order is taken to be right.

    Args:
        model: Name, folder or Hub id of an orderer that tells probabilities.
        document: The document.
        sentence: The sentence.
        progress: Called after every batch of rows that the model has read.

    Returns:
        The probabilities of all places: in front of each sentence, and behind all.

    Raises:
        OSError: If there is no such model.
        ValueError: If it is no orderer, or tells no probabilities, or the sentence is empty.
    """
    if not sentence.strip():
        raise ValueError("There is no sentence to insert yet. Write one.")
    request = {"sentences": document.sentences, "insert": [sentence.strip()]}
    [probabilities] = load_orderer(model)(request, answer="insert", progress=progress)["place_probabilities"]
    return probabilities


def kendall_tau(order: Sequence[int], other: Sequence[int]) -> float:
    """Compare two orders of the same items: 1 if they are the same, 0 as random ones on average, -1 if reversed.

    Args:
        order: The items, in one order.
        other: The items, in another.

    Returns:
        Kendall's tau; NaN for fewer than two items.

    Example:
        >>> round(kendall_tau([0, 1, 2], [0, 2, 1]), 3)
        0.333
    """
    if len(order) < 2:
        return float("nan")
    places = {item: place for place, item in enumerate(other)}
    right = np.array([[places[item] for item in order]])
    measured = measure_documents(np.arange(len(order), dtype=np.float64)[None], right, np.full(right.shape, True))
    return float(measured["kendall_tau"][0])
