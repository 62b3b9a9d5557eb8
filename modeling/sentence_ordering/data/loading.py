"""Corpora as datasets: `load_documents`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from glob import glob
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict, load_dataset, load_from_disk
from datasets.table import InMemoryTable

from .formats import SUFFIXES, Row, gather_sentences, numbered_columns, read_files

EMBEDDED_CORPORA = ("bigbench_narratives",)
ROWS_PER_TABLE = 10_000

Name = str | os.PathLike[str]


def load_documents(
    source: Name | Sequence[Name] | Mapping[str, Name | Sequence[Name]],
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
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    if isinstance(source, str) and source in EMBEDDED_CORPORA:
        corpora = files("sentence_ordering") / "corpora"
        source = {split: str(corpora / f"{source}.{split}.jsonl") for split in ("train", "validation")}
    if isinstance(source, str) and not _names_files(source):
        return _load_dataset(source, sentences_column, streaming)
    options: dict[str, Any] = {"sentences_column": sentences_column, "language": language, "books": books}
    splits = source if isinstance(source, Mapping) else {"train": source}
    paths = {split: _find_files(names) for split, names in splits.items()}
    if streaming:
        return IterableDatasetDict({split: _stream_files(found, options) for split, found in paths.items()})
    return DatasetDict({split: _collect(read_files(found, **options)) for split, found in paths.items()})


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


def _names_files(source: str) -> bool:
    """Tell files and globs from folders and Hub ids."""
    path = Path(source)
    known = Path(source.removesuffix(".gz")).suffix.lower() in filter(None, SUFFIXES)
    return not path.is_dir() and (path.is_file() or known or any(character in source for character in "*?["))


def _find_files(names: Name | Sequence[Name]) -> list[str]:
    """Resolve globs, each to its files in alphabetical order."""
    found: list[str] = []
    for path in [names] if isinstance(names, (str, os.PathLike)) else names:
        name = os.fspath(path)
        matches = [name] if Path(name).is_file() else sorted(glob(name, recursive=True))
        if not matches:
            raise FileNotFoundError(f"There is no file {name!r}.")
        found += matches
    return found


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
        numbered = numbered_columns(rows.column_names or [])
        if numbered and sentences_column not in rows.column_names:
            loaded[split] = rows.map(
                lambda row, index, columns: gather_sentences(row, columns, sentences_column, f"row {index}"),
                with_indices=True,
                remove_columns=numbered,
                fn_kwargs={"columns": numbered},
            )
    return loaded


def _stream_files(paths: list[str], options: dict[str, Any]) -> IterableDataset:
    def rows(paths: list[str]) -> Iterator[Row]:
        for _, row in read_files(paths, **options):
            yield row

    # A list among the arguments is what datasets shares among workers.
    return IterableDataset.from_generator(rows, gen_kwargs={"paths": paths})


def _collect(rows: Iterator[tuple[str, Row]]) -> Dataset:
    """Collect rows, which need not all have the same columns, into a dataset.

    Raises:
        TypeError: If the values of a column are of different types; the message names the row.
    """
    tables: list[pa.Table] = []
    types: dict[str, type] = {}
    while chunk := list(islice(rows, ROWS_PER_TABLE)):
        for where, row in chunk:
            for column, value in row.items():
                kind = float if type(value) is int else type(value)
                if value is not None and types.setdefault(column, kind) is not kind:
                    raise TypeError(
                        f"{where}, column {column!r}: {value!r:.80} is of type {type(value).__name__}, but the rows "
                        f"before it have {types[column].__name__}."
                    )
        columns = list(dict.fromkeys(column for _, row in chunk for column in row))
        try:
            tables.append(pa.table({column: [row.get(column) for _, row in chunk] for column in columns}))
        except (pa.ArrowException, OverflowError) as error:  # Different types within lists or objects; huge integers.
            raise TypeError(f"{chunk[0][0]} to {chunk[-1][0]}: {error}.") from error
    return Dataset(InMemoryTable(pa.concat_tables(tables, promote_options="permissive")))
