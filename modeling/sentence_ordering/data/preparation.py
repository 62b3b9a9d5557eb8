"""Corpora to model inputs: `prepare_dataset`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, TypeVar

import numpy as np
from datasets import Dataset, DatasetDict, Features, IterableDataset, IterableDatasetDict, List, Value
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging

from ..model.configuration_sentence_ordering import SentenceOrderingConfig
from ..model.encoding import IGNORE_INDEX, check_document, check_sentences, encode_rows, warn_of_shortened
from ..model.passes import document_rng
from .caching import map_fingerprint
from .parsing import parse_json

logger = logging.get_logger(__name__)

FEATURES = Features(
    {
        "input_ids": List(Value("int32")),
        "attention_mask": List(Value("int8")),
        "labels": List(Value("int64")),
        "tokens_cut": Value("int64"),
    }
)

AnyDataset = TypeVar("AnyDataset", Dataset, DatasetDict, IterableDataset, IterableDatasetDict)


def prepare_dataset(
    dataset: AnyDataset,
    tokenizer: PreTrainedTokenizerBase,
    config: SentenceOrderingConfig,
    *,
    sentences_column: str = "sentences",
    positions_column: str | None = None,
    seed: int = 0,
    num_proc: int | None = None,
) -> AnyDataset:
    """Turn documents into model inputs: shuffle their sentences once, encode them, and label them with their places.

    Documents of fewer than two sentences are left out, with a warning that says how many.

    Args:
        dataset: A dataset, streaming or not, or a dict of splits, each row of which holds one document; or a list of
            documents.
        tokenizer: The backbone's tokenizer.
        config: The model's configuration.
        sentences_column: Column with the lists of sentences, in natural order unless `positions_column` is given.
        positions_column: For documents that are shuffled already: column with the 0-based place of each sentence in
            the natural order. They are not shuffled again; where the value is `None`, labels are -100.
        seed: The shuffle of a document depends on this seed and on its text alone.
        num_proc: Number of processes; only for datasets that do not stream.

    Returns:
        A dataset of the same kind with the columns `input_ids`, `attention_mask` and `labels`:
        `labels[i]` is the 0-based place of the i-th sentence of the row in the natural order.

    Raises:
        TypeError: If a document is no list of strings.
        ValueError: If a column is missing, positions are no permutation, or a document has more sentences than a row
            may have tokens.

    Example:
        >>> documents = Dataset.from_list([{"sentences": ["Tom bought a cake.", "Then he ate it."]}])
        >>> prepared = prepare_dataset(documents, tokenizer, model.config)
    """
    if isinstance(dataset, dict):
        prepared = {
            name: prepare_dataset(
                split,
                tokenizer,
                config,
                sentences_column=sentences_column,
                positions_column=positions_column,
                seed=seed,
                num_proc=num_proc,
            )
            for name, split in dataset.items()
        }
        return type(dataset)(prepared)

    if isinstance(dataset, (list, tuple)):
        dataset = as_dataset(dataset, sentences_column)
    dataset = dataset.with_format(None)
    # A streaming dataset may not know its columns before its first row.
    columns = dataset.column_names or list(next(iter(dataset), {}))
    check_columns(columns, sentences_column, positions_column)
    # The others are not needed, and rows of a stream need not all have the same ones.
    columns = [column for column in (sentences_column, positions_column) if column is not None]
    dataset = dataset.select_columns(columns)
    arguments = {
        "tokenizer": tokenizer,
        "config": config,
        "sentences_column": sentences_column,
        "positions_column": positions_column,
        "seed": seed,
    }
    options: dict[str, Any] = {
        "batched": True,
        "with_indices": True,
        "remove_columns": columns,
        "features": FEATURES,
        "fn_kwargs": arguments,
    }
    if isinstance(dataset, IterableDataset):
        return dataset.map(_encode_streamed_batch, **options).remove_columns("tokens_cut")
    if len(dataset) == 0:  # datasets would not even make the columns.
        return Dataset.from_dict({name: [] for name in FEATURES}, features=FEATURES).remove_columns("tokens_cut")
    fingerprint = map_fingerprint(dataset, "prepare_dataset", arguments)
    encoded = dataset.map(
        _encode_batch, num_proc=num_proc, desc="Encoding documents", new_fingerprint=fingerprint, **options
    )
    left_out = len(dataset) - len(encoded)
    if left_out:
        logger.warning(f"{left_out} of {len(dataset)} documents have fewer than 2 sentences and were left out.")
    warn_of_shortened(encoded.data.column("tokens_cut").to_numpy(), config)
    return encoded.remove_columns("tokens_cut")


def check_columns(columns: Sequence[str], *needed: str | None) -> None:
    """Check that a dataset has the columns that are to be read.

    Args:
        columns: Those that it has.
        *needed: Those that it needs; None needs none.

    Raises:
        ValueError: If one is missing.
    """
    for column in needed:
        if column is not None and column not in columns:
            raise ValueError(f"The dataset has no column {column!r}, only {list(columns)}. Name the right one.")


def check_positions(positions: Any, count: int, where: str) -> list[int]:
    """Check that given positions are a permutation.

    Args:
        positions: 0-based places of the sentences of a document, as a list or, in a cell of a table, as JSON; None or
            blank if they are not known.
        count: Number of its sentences.
        where: The document's place, to begin the error message with.

    Returns:
        The positions as labels: -100, which the loss ignores, where they are not known.

    Raises:
        ValueError: If they are no permutation of 0..count-1.
    """
    if isinstance(positions, str):
        positions = parse_json(positions, where) if positions.strip() else None
    if positions is None:
        return [IGNORE_INDEX] * count
    given = list(positions) if isinstance(positions, (list, tuple)) else [positions]
    if not all(isinstance(place, Real) for place in given) or sorted(given) != list(range(count)):
        raise ValueError(
            f"{where}: the positions {given} are no permutation of 0..{count - 1}, the places of its {count} "
            "sentences. Positions count from 0, and each occurs once."
        )
    return given


def shuffle_document(sentences: Sequence[str], seed: int) -> np.ndarray:
    """Draw the shuffle of a document, which depends on the seed and on its text alone.

    Args:
        sentences: The document in natural order.
        seed: Seed.

    Returns:
        A random permutation of 0..n-1: the natural places of the shuffled sentences, which are their labels.

    Example:
        >>> shuffle_document(["Tom bought a cake.", "Then he ate it.", "He was happy."], seed=0)
        array([2, 0, 1])
    """
    return document_rng(sentences, seed).permutation(len(sentences))


def _encode_batch(
    batch: dict[str, list[Any]],
    indices: list[int],
    *,
    tokenizer: PreTrainedTokenizerBase,
    config: SentenceOrderingConfig,
    sentences_column: str,
    positions_column: str | None,
    seed: int,
) -> dict[str, list[Any]]:
    """Encode a batch of documents; those of fewer than two sentences are missing from the result."""
    documents, labels = [], []
    limit = config.token_limit
    for i, (row, sentences) in enumerate(zip(indices, batch[sentences_column], strict=True)):
        check_document(sentences, f"row {row}", limit)
        if len(sentences) < 2:
            continue
        if positions_column is None:
            positions = shuffle_document(sentences, seed).tolist()
            sentences = [sentences[position] for position in positions]
        else:
            positions = check_positions(batch[positions_column][i], len(sentences), f"row {row}")
        documents.append(sentences)
        labels.append(positions)
    rows, tokens_cut = encode_rows(documents, tokenizer, config)
    return {
        "input_ids": rows,
        "attention_mask": [[1] * len(row) for row in rows],
        "labels": labels,
        "tokens_cut": tokens_cut,
    }


def _encode_streamed_batch(batch: dict[str, list[Any]], indices: list[int], **arguments: Any) -> dict[str, list[Any]]:
    """Encode a batch of a stream, whose documents nobody can count beforehand: only the first loss is reported."""
    encoded = _encode_batch(batch, indices, **arguments)
    if len(encoded["input_ids"]) < len(indices):
        logger.warning_once("Documents of fewer than 2 sentences are left out of the stream.")
    if any(encoded["tokens_cut"]):
        logger.warning_once(
            f"Documents of the stream that do not fit into {arguments['config'].token_limit} tokens have their longest "
            "sentences shortened; no sentence is dropped."
        )
    return encoded


def as_dataset(documents: Any, sentences_column: str) -> Dataset:
    """Turn a list of documents into a dataset.

    Args:
        documents: Lists of sentences, or dicts with such lists.
        sentences_column: The column for lists of sentences; dicts have their keys for columns.

    Returns:
        The dataset.

    Raises:
        TypeError: If a document is no list of strings.
    """
    if documents and all(isinstance(document, Mapping) for document in documents):
        return Dataset.from_list([dict(document) for document in documents])
    for index, document in enumerate(documents):
        check_sentences(document, f"document {index}")
    return Dataset.from_dict({sentences_column: [list(document) for document in documents]})
