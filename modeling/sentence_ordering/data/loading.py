"""Corpora as datasets: `load_documents`."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files as package_files
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict, load_dataset, load_from_disk
from datasets.table import InMemoryTable
from transformers.utils import logging

from .caching import map_fingerprint
from .documents import numbered_columns, take_sentences
from .files import Name, find_files, names_form
from .formats import read_files
from .parsing import Row

logger = logging.get_logger(__name__)

EMBEDDED_CORPORA = ("bigbench_narratives",)
ROWS_PER_TABLE = 10_000

Source = Name | Sequence[Name] | Mapping[str, Name | Sequence[Name]]
AnyDataset = TypeVar("AnyDataset", Dataset, IterableDataset)


def load_documents(
    source: Source,
    *,
    sentences_column: str = "sentences",
    language: str | None = None,
    books: bool = False,
    streaming: bool = False,
) -> DatasetDict | IterableDatasetDict:
    """Load a corpus: one document a row, its sentences in natural order.

    Files may be packed with gzip (`.jsonl.gz`), and may be:

    - JSON lines, a JSON array, CSV, TSV or Parquet with a column of lists of sentences (in CSV and TSV a JSON list), or
      with numbered columns `sentence1`, `sentence2`, ..., like the files of ROCStories; the latter become such a list.
    - Text with one sentence (or paragraph, step, ...) a line, and a blank line between documents.
    - Running text, if `language` is given: each paragraph between blank lines is a document, and split into sentences.
    - Books, if `books` is set: a file is one document of all its sentences, or, without a language, of its paragraphs.

    Args:
        source: The name of an embedded corpus (`"bigbench_narratives"`), a folder that was saved with `save_to_disk`, a
            Hub dataset id, a file, a glob (`"books/*.txt"`) or a list of these two, which become the split `train`, or
            a dict from the names of splits to such files.
        sentences_column: Column of the lists of sentences.
        language: For text files: an ISO 639-1 code like `"en"`; needs the extra `text`.
        books: For text files: whether a file is one document, with its name as `source`.
        streaming: Whether to read while iterating, which needs no memory for the corpus.

    Returns:
        The splits, with all their columns.

    Raises:
        FileNotFoundError: If a file does not exist, or a glob matches none.
        TypeError: If a document of a file is no list of strings; the message names file, line and column.
        ValueError: If a file is empty, of an unknown kind, or malformed; likewise. While streaming both are raised
            when the row is reached.

    Example:
        >>> load_documents("bigbench_narratives")["validation"][0]["sentences"][0]
        "Sue's group at work did a great job on their project last month."
    """
    files = _resolve(source)
    if isinstance(files, str):
        _check_text_options(files, language, books)
        return _load_dataset(files, sentences_column, streaming)
    options: dict[str, Any] = {"sentences_column": sentences_column, "language": language, "books": books}
    if streaming:
        return IterableDatasetDict({split: _stream_files(paths, options) for split, paths in files.items()})
    return DatasetDict({split: collect_rows(read_files(paths, **options)) for split, paths in files.items()})


def read_rows(
    source: Source, *, sentences_column: str = "sentences", language: str | None = None, books: bool = False
) -> Iterator[tuple[str, Row]]:
    """Read the rows of all splits of a corpus one after the other, with columns of any values.

    Args:
        source: As for `load_documents`.
        sentences_column: Likewise.
        language: Likewise.
        books: Likewise.

    Yields:
        For each document its place, for messages, and its row.

    Raises:
        OSError: If a file cannot be read.
        TypeError: As `load_documents`.
        ValueError: Likewise.

    Example:
        >>> where, row = next(read_rows("stories.jsonl"))
    """
    files = _resolve(source)
    if isinstance(files, str):
        _check_text_options(files, language, books)
        for split, rows in _load_dataset(files, sentences_column, streaming=False).items():
            yield from ((f"{files}, {split} row {index}", row) for index, row in enumerate(rows))
    else:
        for paths in files.values():
            yield from read_files(paths, sentences_column=sentences_column, language=language, books=books)


def choose_split(splits: DatasetDict, name: str, source: str) -> Dataset:
    """Take one split of a corpus.

    Args:
        splits: What `load_documents` returned.
        name: The split's name.
        source: The corpus's name, for the message.

    Returns:
        The split.

    Raises:
        ValueError: If there is none of that name; the message lists those that there are.
    """
    if name not in splits:
        raise ValueError(f"{source} has no split {name!r}, only {list(splits)}.")
    return splits[name]


def _resolve(source: Source) -> str | dict[str, list[str]]:
    """Return the files of each split, or the name of a saved folder or a dataset of the Hub."""
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    if isinstance(source, str) and source in EMBEDDED_CORPORA:
        corpora = package_files("sentence_ordering") / "corpora"
        source = {split: str(corpora / f"{source}.{split}.jsonl") for split in ("train", "validation")}
    if isinstance(source, str) and not _names_files(source):
        return source
    splits = source if isinstance(source, Mapping) else {"train": source}
    return {split: find_files(names) for split, names in splits.items()}


def _check_text_options(dataset: str, language: str | None, books: bool) -> None:
    """Refuse what is said of text files for a dataset, which has lists of sentences."""
    if language is not None or books:
        option = "books" if language is None else "language"
        raise ValueError(f"{dataset} is a dataset, and no text file, which alone `{option}` is for. Leave it out.")


def _names_files(source: str) -> bool:
    """Tell files, pipes and globs from folders and Hub ids."""
    path = Path(source)
    return not path.is_dir() and (path.exists() or names_form(source) or any(sign in source for sign in "*?["))


def _load_dataset(source: str, sentences_column: str, streaming: bool) -> DatasetDict | IterableDatasetDict:
    """Load a saved folder or a dataset of the Hub."""
    if Path(source).is_dir():
        loaded = load_from_disk(source)
        loaded = loaded if isinstance(loaded, DatasetDict) else DatasetDict(train=loaded)
        if streaming:
            loaded = IterableDatasetDict({split: rows.to_iterable_dataset() for split, rows in loaded.items()})
    else:
        loaded = load_dataset(source, streaming=streaming)
    for split, rows in loaded.items():
        if sentences_column in (rows.column_names or []):
            continue
        if numbered := numbered_columns(rows.column_names or [], source):
            loaded[split] = _gather_columns(rows, numbered, sentences_column)
    return loaded


def _gather_columns(rows: AnyDataset, numbered: list[str], sentences_column: str) -> AnyDataset:
    """Make one column of those that hold one sentence each."""

    def gather(row: Row, index: int) -> Row:
        return {sentences_column: take_sentences(row, numbered, f"row {index}")}

    options: dict[str, Any] = {"with_indices": True, "remove_columns": numbered}
    if isinstance(rows, Dataset):
        options["new_fingerprint"] = map_fingerprint(rows, "take_sentences", numbered, sentences_column)
    return rows.map(gather, **options)


def _stream_files(paths: list[str], options: dict[str, Any]) -> IterableDataset:
    def rows(paths: list[str]) -> Iterator[Row]:
        for _, row in _replace_surrogates(read_files(paths, **options)):
            yield row

    # A list among the arguments is what datasets shares among workers.
    return IterableDataset.from_generator(rows, gen_kwargs={"paths": paths})


def collect_rows(rows: Iterator[tuple[str, Row]]) -> Dataset:
    """Collect rows, which need not all have the same columns, into a dataset.

    Args:
        rows: At least one, each with its place.

    Returns:
        The dataset. Lone surrogates, which JSON can hold and Arrow refuses, are question marks in it.

    Raises:
        TypeError: If the values of a column are of different types; the message names the row.

    Example:
        >>> collect_rows(iter([("row 0", {"sentences": ["a", "b"]})]))[0]
        {'sentences': ['a', 'b']}
    """
    rows = _replace_surrogates(rows)
    tables: list[pa.Table] = []
    digest = hashlib.blake2b(digest_size=8)
    types: dict[str, type] = {}
    while chunk := list(islice(rows, ROWS_PER_TABLE)):
        for where, row in chunk:
            digest.update(repr(row).encode())
            for column, value in row.items():
                kind = float if type(value) is int else type(value)
                if value is not None and types.setdefault(column, kind) is not kind:
                    raise TypeError(
                        f"{where}, column {column!r}: {value!r:.80} is of type {type(value).__name__}, but the rows "
                        f"before it have {'numbers' if types[column] is float else types[column].__name__}."
                    )
        columns = list(dict.fromkeys(column for _, row in chunk for column in row))
        try:
            tables.append(pa.table({column: [row.get(column) for _, row in chunk] for column in columns}))
        except (
            pa.ArrowException,
            OverflowError,
            RecursionError,
        ) as error:  # Different types within lists or objects; huge integers.
            raise TypeError(f"{chunk[0][0]} to {chunk[-1][0]}: {error}.") from error
    # Dataset would hash the whole table at once, for which pyarrow makes one array of each column: of at most 2 GiB.
    return Dataset(
        InMemoryTable(pa.concat_tables(tables, promote_options="permissive")), fingerprint=digest.hexdigest()
    )


def _replace_surrogates(rows: Iterator[tuple[str, Row]]) -> Iterator[tuple[str, Row]]:
    """Replace lone surrogates by question marks, as encoding does."""
    for where, row in rows:
        replaced = _encodable(row)
        if replaced != row:
            source = re.sub(r"(:\d+|, \w+ \d+)$", "", where)
            logger.warning_once(f"{source}: halves of characters (lone surrogates) became question marks.")
        yield where, replaced


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return value
