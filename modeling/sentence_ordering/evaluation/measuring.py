"""Ask an orderer for the order of every document of a corpus, several times, each time shuffled anew."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from datasets import Dataset
from transformers.utils import logging

from ..data import check_columns, check_positions, shuffle_document
from ..data.splitting import normalize_text
from ..model.encoding import IGNORE_INDEX, check_sentences, invert_order

logger = logging.get_logger(__name__)

# A pipeline with its batch size, or a baseline: documents in, one answer each out, in the same order.
Orderer = Callable[[Iterator[list[str]]], Iterable[dict[str, Any]]]


@dataclass
class Corpus:
    """Documents to measure on.

    Args:
        name: What to call it.
        documents: Rows with `sentences` and, if they are shuffled already, `positions`: `positions[i]` is the 0-based
            place of sentence i, and None stands for a document whose order is not known. Else sentences are in
            natural order.
        train: Documents of the same kind to train baselines on, none of which is among those.
    """

    name: str
    documents: Dataset
    train: Dataset | None = None

    @property
    def shuffled(self) -> bool:
        """Whether the documents are shuffled already."""
        return "positions" in self.documents.column_names


@dataclass
class Answers:
    """What an orderer answered for each document of a corpus, given in several input orders.

    Lists over documents. Sentences stand as in the corpus, in whatever order the orderer was given them.

    Args:
        true: Right places, integers of shape `(sentences,)`, -100 if they are not known.
        places: Predicted places, integers of shape `(shuffles, sentences)`.
        scores: The orderer's scores, floats of the same shape.
    """

    true: list[np.ndarray] = field(default_factory=list)
    places: list[np.ndarray] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)

    def counts(self) -> np.ndarray:
        """Return the number of sentences of the documents that say something about order, 0 for the others."""
        return np.array([len(t) if len(t) >= 2 and t[0] != IGNORE_INDEX else 0 for t in self.true], dtype=np.int64)


def load_corpus(
    name: str,
    documents: Dataset,
    train: Dataset | None = None,
    *,
    sentences_column: str = "sentences",
    positions_column: str | None = None,
) -> Corpus:
    """Make a corpus of loaded rows, and check every document before hours are spent on the first.

    Args:
        name: What to call it.
        documents: Rows to measure on.
        train: Rows to train baselines on, in natural order if they have no positions. Documents that are measured on
            are left out, with a warning that says how many.
        sentences_column: Column with the lists of sentences.
        positions_column: Column with the places of the sentences, if documents are shuffled already.

    Returns:
        The corpus.

    Raises:
        TypeError: If a document is no list of strings.
        ValueError: If a column is missing, positions are no permutation, there are no documents, or all that there is
            to train on is measured on.
    """
    if len(documents) == 0:
        raise ValueError(f"{name}: there are no documents to measure on.")
    if sentences_column == positions_column:
        raise ValueError(f"Sentences and positions cannot both be in column {sentences_column!r}.")
    columns = {sentences_column: "sentences"} | ({} if positions_column is None else {positions_column: "positions"})

    def check(rows: Dataset, what: str, columns: Mapping[str, str]) -> Dataset:
        try:
            check_columns(rows.column_names, *columns)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        rows = rows.select_columns(list(columns))
        rows = rows.rename_columns({old: new for old, new in columns.items() if old != new})
        for row, document in enumerate(rows):
            check_sentences(document["sentences"], f"{name}: {what} {row}")
            if "positions" in document:
                check_positions(document["positions"], len(document["sentences"]), f"{name}: {what} {row}")
        return rows

    checked = check(documents, "row", columns)
    if train is None:
        return Corpus(name, checked)
    if positions_column not in train.column_names:  # In natural order.
        columns = {sentences_column: "sentences"}
    return Corpus(name, checked, _leave_out(checked, check(train, "training row", columns), name))


def _leave_out(measured: Dataset, train: Dataset, name: str) -> Dataset:
    """Leave out of what baselines are trained on what they are measured on, in whatever order its sentences stand."""
    texts = set(map(_text_key, measured["sentences"]))
    kept = [row for row, sentences in enumerate(train["sentences"]) if _text_key(sentences) not in texts]
    if len(train) and not kept:
        raise ValueError(f"{name}: all documents to train baselines on are among those to measure on. Name others.")
    if len(kept) == len(train):
        return train
    left_out = len(train) - len(kept)
    logger.warning(f"{name}: {left_out} of {len(train)} documents to train baselines on are measured on: left out.")
    return train.select(kept)


def _text_key(sentences: list[str]) -> tuple[str, ...]:
    return tuple(sorted(normalize_text([sentence]) for sentence in sentences))


def natural_order(document: Mapping[str, Any]) -> list[str] | None:
    """Return the sentences of a corpus's row in natural order; None if it is not known.

    Example:
        >>> natural_order({"sentences": ["He ate it.", "Tom bought a cake."], "positions": [1, 0]})
        ['Tom bought a cake.', 'He ate it.']
    """
    sentences: list[str] = document["sentences"]
    if "positions" not in document:
        return sentences
    positions = check_positions(document["positions"], len(sentences), "")
    if IGNORE_INDEX in positions:
        return None
    return [sentences[index] for index in invert_order(np.array(positions, dtype=np.int64))]


def predict(order: Orderer, corpus: Corpus, *, input_orders: int, seed: int) -> Iterator[dict[str, Any]]:
    """Shuffle the documents of a corpus, and order them.

    The first shuffle is that of `prepare_dataset` with the same seed; documents that are shuffled already are first
    given as they are. The shuffles of a document follow each other, so that batches hold rows of one length.

    Args:
        order: Puts documents in order.
        corpus: The documents.
        input_orders: Number of input orders of each document.
        seed: Shuffle k is drawn with `seed + k`.

    Yields:
        For every row of the corpus and every shuffle: `row` and `shuffle`; `input`, where `input[i]` is the index in
        the row of the i-th sentence given; `labels`, where `labels[i]` is the right place of that sentence; and the
        orderer's answer.
    """
    given: deque[dict[str, Any]] = deque()

    def documents() -> Iterator[list[str]]:
        for row, document in enumerate(corpus.documents):
            sentences, count = document["sentences"], len(document["sentences"])
            true = check_positions(document["positions"], count, "") if corpus.shuffled else list(range(count))
            for shuffle in range(input_orders):
                as_given = corpus.shuffled and shuffle == 0
                indices = list(range(count)) if as_given else shuffle_document(sentences, seed + shuffle).tolist()
                labels = [true[index] for index in indices]
                given.append({"row": row, "shuffle": shuffle, "input": indices, "labels": labels})
                yield [sentences[index] for index in indices]

    for answer in order(documents()):
        yield given.popleft() | answer


def collect(predictions: Iterable[dict[str, Any]], input_orders: int) -> Answers:
    """Collect predictions in arrays; their text is not kept.

    Args:
        predictions: What `predict` yields.
        input_orders: Number of input orders of each document.

    Returns:
        The answers.

    Raises:
        ValueError: If scores are NaN or infinite.
    """
    answers = Answers()
    for prediction in predictions:
        if not np.isfinite(prediction["scores"]).all():
            raise ValueError(f"The answer for row {prediction['row']} has scores that are NaN or infinite.")
        shuffle, given = prediction["shuffle"], np.array(prediction["input"], dtype=np.int64)
        if shuffle == 0:
            answers.true.append(np.empty(len(given), dtype=np.int64))
            answers.places.append(np.empty((input_orders, len(given)), dtype=np.int64))
            answers.scores.append(np.empty((input_orders, len(given)), dtype=np.float32))
        answers.true[-1][given] = prediction["labels"]
        answers.places[-1][shuffle, given] = prediction["positions"]
        answers.scores[-1][shuffle, given[prediction["order"]]] = prediction["scores"]
    return answers
