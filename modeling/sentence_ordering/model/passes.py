"""What the model reads of a document: rows of its sentences in some order, and how their scores become one answer."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import numpy as np

from .answers import Request
from .encoding import sentence_lengths

# A plan for a document yields rows, each an array of sentence numbers in the order in which the model is to read them,
# is sent the scores of each row in return, and returns one score for each sentence of the document.
Plan = Generator[list[np.ndarray], list[np.ndarray], np.ndarray]


@dataclass
class OrderingTask:
    """A document on its way through the pipeline.

    Args:
        request: The document as it was given, and what is asked about it.
        input_order: In which order the plan numbers its sentences; a permutation.
        token_ids: The token ids of each sentence, in that order.
        plan: What the model is to read of it.

    Attributes:
        rows: What the model is to read next; the plan's.
        scores: One for each sentence, when the plan is finished.
    """

    request: Request
    input_order: np.ndarray
    token_ids: list[list[int]]
    plan: Plan
    rows: list[np.ndarray] = field(init=False, default_factory=list)
    scores: np.ndarray | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._lengths = sentence_lengths(self.token_ids)
        self._row_scores: dict[int, np.ndarray] = {}
        self._advance(None)

    @property
    def sentences(self) -> list[str]:
        """The document as it was given."""
        return self.request.sentences

    def receive(self, number: int, scores: np.ndarray) -> None:
        """Take the scores of one of `rows`; the last ones replace `rows` by what is to be read next, or set `scores`.

        Args:
            number: The row's number.
            scores: One for each of its sentences.

        Raises:
            ValueError: If some are NaN or infinite.
        """
        wrong = int((~np.isfinite(scores)).sum())
        if wrong:
            raise ValueError(
                f"{wrong} of {len(scores)} scores are NaN or infinite, so that they say nothing about the order of the "
                f"document of {len(self.sentences)} sentences that begins with {self.sentences[0]!r:.80}. Either the "
                "model's weights are broken, or its precision is too low for it (`dtype`)."
            )
        self._row_scores[number] = scores
        if len(self._row_scores) == len(self.rows):
            self._advance([self._row_scores.pop(number) for number in range(len(self.rows))])

    def _advance(self, scores: list[np.ndarray] | None) -> None:
        try:
            self.rows = self.plan.send(scores)  # type: ignore[arg-type]  # None starts a generator
        except StopIteration as finished:
            self.rows, self.scores = [], finished.value

    def count_tokens(self) -> list[int]:
        """Count the tokens of each row."""
        return [int(self._lengths[row].sum()) for row in self.rows]


def plan_passes(count: int, num_shuffles: int, rng: np.random.Generator) -> Plan:
    """Plan the passes over a whole document, first in the order given, then shuffled, whose scores are averaged.

    Args:
        count: Number of sentences.
        num_shuffles: Number of orders in which the model reads them.
        rng: Generator of the shuffles.

    Yields:
        The rows; once, or never if there is no sentence.

    Returns:
        The mean score of each sentence.
    """
    if count == 0:
        return np.empty(0)
    rows = [np.arange(count), *(rng.permutation(count) for _ in range(num_shuffles - 1))]
    scores = yield rows
    return np.mean([row_scores[np.argsort(row)] for row, row_scores in zip(rows, scores, strict=True)], axis=0)


def document_rng(sentences: Sequence[str], seed: int) -> np.random.Generator:
    """Make the random generator of a document, which depends on the seed and on the document's text alone.

    Args:
        sentences: The document.
        seed: Seed.

    Returns:
        The generator.
    """
    text = "".join(f"{len(sentence)}:{sentence}" for sentence in sentences)
    return np.random.default_rng((seed, int.from_bytes(_digest(text), "big")))


def canonical_order(sentences: Sequence[str]) -> np.ndarray:
    """Sort sentences in a way that depends on their texts alone, and tells nothing about their natural order.

    Args:
        sentences: The document in any order.

    Returns:
        A permutation of its indices; equal sentences keep their order.

    Example:
        >>> [["b", "a"][index] for index in canonical_order(["b", "a"])]
        ['a', 'b']
        >>> [["a", "b"][index] for index in canonical_order(["a", "b"])]
        ['a', 'b']
    """
    digests = [_digest(sentence) for sentence in sentences]
    return np.array(sorted(range(len(sentences)), key=digests.__getitem__), dtype=np.int64)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
