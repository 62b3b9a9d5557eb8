"""What can be asked about a document, and the answers: its order, how well it is ordered, where sentences belong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

import numpy as np

from .alternatives import SUMMED_SENTENCES, best_orders, sum_orders, tie_groups
from .coherence import better_than_random, place_probabilities, sentence_coherence, weakest_place
from .confidence import gap_probabilities, order_confidence
from .constrained_order import best_order, check_constraints
from .constraints import Constraints, read_constraints
from .encoding import check_sentences, invert_order

ANSWERS = ("order", "score", "insert")


@dataclass(frozen=True)
class Question:
    """What is asked about documents; see the pipeline's options of these names.

    Raises:
        ValueError: If an option has a value that it cannot have, or they do not go together.
    """

    answer: str = "order"
    alternatives: int | None = None
    tie_threshold: float | None = None

    def __post_init__(self) -> None:
        if self.answer not in ANSWERS:
            raise ValueError(f"answer={self.answer!r} is unknown. Use {', '.join(map(repr, ANSWERS))}.")
        if self.answer != "order" and self.beyond_order:
            raise ValueError(f'answer={self.answer!r} has no `alternatives` and no `tie_threshold`; "order" has.')
        threshold = self.tie_threshold
        if threshold is not None and not (isinstance(threshold, Real) and 0.5 <= threshold <= 1):
            raise ValueError(f"tie_threshold={threshold!r} must be a probability from 0.5 to 1.")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Question:
        """Pick its options out of all that the pipeline has."""
        return cls(**{field.name: options[field.name] for field in fields(cls) if field.name in options})

    @property
    def beyond_order(self) -> bool:
        """Whether more is asked than the best order."""
        return self.alternatives is not None or self.tie_threshold is not None

    @property
    def needs_probabilities(self) -> bool:
        """Whether it takes a model with a fitted `confidence_slope`."""
        return self.answer != "order" or self.beyond_order


@dataclass
class Request:
    """A document and what is asked about it.

    Args:
        sentences: The document; to insert, the new sentences stand behind it.
        constraints: What its order has to keep.
        new_sentences: How many of the sentences are to be inserted.
    """

    sentences: list[str]
    constraints: Constraints = Constraints()
    new_sentences: int = 0


def read_request(document: Any, where: str, question: Question) -> Request:
    """Read a document as it is given to the pipeline.

    Args:
        document: A list of sentences, or a dict with such a list under `sentences`; with `constraints` for `order`, or
            a list of the sentences to insert under `insert` for `insert`.
        where: The document's place, to begin error messages with.
        question: What is asked about it.

    Returns:
        The request.

    Raises:
        TypeError: If sentences are no lists of strings.
        ValueError: If something is missing, or the constraints are of the wrong form or contradict each other.

    Example:
        >>> document = {"sentences": ["He ate it."], "insert": ["Tom bought a cake."]}
        >>> read_request(document, "document 0", Question("insert")).sentences
        ['He ate it.', 'Tom bought a cake.']
    """
    row = document if isinstance(document, Mapping) else {"sentences": document}
    if "sentences" not in row:
        raise ValueError(f'{where}: has no "sentences", only the keys {list(row)}.')
    sentences = row["sentences"]
    check_sentences(sentences, where)
    if question.answer == "insert":
        if row.get("insert") is None:
            raise ValueError(
                f'{where}: has no sentences to insert. Give a dict like {{"sentences": [...], "insert": [...]}}, in a '
                'table a JSON list in the column "insert".'
            )
        check_sentences(row["insert"], f'{where}: "insert"')
        return Request([*map(str, sentences), *map(str, row["insert"])], new_sentences=len(row["insert"]))
    if question.answer == "order" and row.get("constraints") is not None:
        try:
            constraints = read_constraints(row["constraints"], len(sentences))
            check_constraints(constraints, len(sentences))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        if question.beyond_order and constraints != Constraints():
            raise ValueError(f"{where}: `alternatives` and `tie_threshold` do not go with constraints. Leave them out.")
        return Request(list(map(str, sentences)), constraints)
    return Request(list(map(str, sentences)))


def answer_request(
    request: Request, question: Question, scores: np.ndarray, order: np.ndarray, slope: float | None
) -> dict[str, Any]:
    """Answer what is asked about a document.

    Args:
        request: The document.
        question: What is asked.
        scores: One per sentence of `request.sentences`, floats of shape `(sentences,)`.
        order: The sentences sorted by score, in which those that tie have their order already.
        slope: `config.confidence_slope`; not `None` if the question needs probabilities.

    Returns:
        What `answer_order`, `answer_score` or `answer_insert` returns, with `alternatives` a list of that name of dicts
        with `order`, `log_odds` (to the best order) and `probability` (`None` for more than 12 sentences), and with
        `tie_threshold` a list `groups` of lists of sentences, both in reading order.
    """
    if not question.needs_probabilities:
        return answer_order(request, scores, order, slope)
    assert slope is not None
    if question.answer == "score":
        return answer_score(scores, slope)
    if question.answer == "insert":
        return answer_insert(request, scores, slope)
    answer = answer_order(request, scores, order, slope)
    if question.alternatives is not None:
        answer["alternatives"] = list_alternatives(scores, order, slope, question.alternatives)
    if question.tie_threshold is not None:
        groups = tie_groups(scores[order], slope, question.tie_threshold)
        answer["groups"] = [order[group].tolist() for group in groups]
    return answer


def answer_order(request: Request, scores: np.ndarray, order: np.ndarray, slope: float | None) -> dict[str, Any]:
    """Put a document in order.

    Args:
        request: The document.
        scores: One per sentence, floats of shape `(sentences,)`.
        order: The sentences sorted by score, in which those that tie have their order already.
        slope: `config.confidence_slope`.

    Returns:
        `order`, `sentences` and `scores` in reading order, `positions` in input order, and `confidence`.
    """
    confidence = None if slope is None else order_confidence(scores, slope)
    if request.constraints != Constraints():
        numbered = request.constraints.renumber(invert_order(order).tolist())
        order = order[best_order(scores[order], numbered)]
        confidence = None if slope is None else _coherence(sentence_coherence(scores[order], slope))
    return {
        "order": order.tolist(),
        "sentences": [request.sentences[index] for index in order],
        "scores": scores[order].tolist(),
        "positions": invert_order(order).tolist(),
        "confidence": confidence,
    }


def list_alternatives(scores: np.ndarray, order: np.ndarray, slope: float, count: int) -> list[dict[str, Any]]:
    """List the most probable orders; arguments as for `answer_order`, and the number of orders."""
    total = sum_orders(scores, slope) if len(scores) <= SUMMED_SENTENCES else None
    return [
        {
            "order": order[ranked.order].tolist(),
            "log_odds": ranked.log_odds,
            "probability": None if total is None else float(np.exp(ranked.log_odds) / total),
        }
        for _, ranked in zip(range(count), best_orders(scores[order], slope), strict=False)
    ]


def answer_score(scores: np.ndarray, slope: float) -> dict[str, Any]:
    """Tell how well a document is ordered.

    Args:
        scores: One per sentence, in the order that is given; floats of shape `(sentences,)`.
        slope: `config.confidence_slope`.

    Returns:
        `coherence`, the share of pairs that is expected to be in the right order; `better_than_random`, the probability
        of this order against a random one; `sentence_coherence`, for each sentence the share of its pairs;
        `neighbour_probabilities`, for each sentence but the last that it comes before the next; `weakest`, a dict of
        `sentence`, `place` and `probability` of the move that gains most, or `None`; and `scores`.
    """
    shares = sentence_coherence(scores, slope)
    move = weakest_place(scores, slope)
    return {
        "coherence": _coherence(shares),
        "better_than_random": better_than_random(scores, slope),
        "sentence_coherence": shares.tolist(),
        "neighbour_probabilities": gap_probabilities(np.diff(scores), slope).tolist(),
        "weakest": None if move is None else move._asdict(),
        "scores": scores.tolist(),
    }


def answer_insert(request: Request, scores: np.ndarray, slope: float) -> dict[str, Any]:
    """Find places for new sentences in a document that is in order.

    Args:
        request: The document.
        scores: One per sentence of the document and per new one, floats of shape `(sentences,)`.
        slope: `config.confidence_slope`.

    Returns:
        `places`, for each new sentence the most probable one, k for in front of sentence k of the document, the number
        of its sentences for behind all; `place_probabilities`, for each new sentence those of all places; `sentences`,
        the document with the new sentences, which are sorted by score where they share a place; and `order`, their
        indices, in which the new sentences are counted on from those of the document.
    """
    count = len(scores) - request.new_sentences
    probabilities = place_probabilities(scores[:count], scores[count:], slope)
    places = probabilities.argmax(axis=1)
    # By place; there the new sentences, by score, and then the sentence that they are in front of.
    is_given = np.arange(len(scores)) < count
    order = np.lexsort((scores, is_given, np.concatenate([np.arange(count), places])))
    return {
        "order": order.tolist(),
        "sentences": [request.sentences[index] for index in order],
        "places": places.tolist(),
        "place_probabilities": probabilities.tolist(),
    }


def _coherence(shares: np.ndarray) -> float:
    return float(shares.mean()) if len(shares) else 1.0
