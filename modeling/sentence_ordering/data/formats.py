"""Files of documents to rows: JSON, CSV, Parquet and text, each row with its place for messages."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from transformers.utils import logging

from ..model.encoding import check_sentences
from .parsing import decode, is_blank, join_paragraphs, json_lines, parse_json

logger = logging.get_logger(__name__)

DELIMITERS = {".csv": ",", ".tsv": "\t"}
TEXT_SUFFIXES = (".txt", ".text", "")
SUFFIXES = (".jsonl", ".json", ".parquet", *DELIMITERS, *TEXT_SUFFIXES)
NUMBERED_COLUMN = re.compile(r"sentence[ _]?(\d+)", re.IGNORECASE)

Row = dict[str, Any]


def read_files(
    paths: Sequence[str], *, sentences_column: str = "sentences", language: str | None = None, books: bool = False
) -> Iterator[tuple[str, Row]]:
    """Read the documents of files; see `load_documents` for what a file may hold.

    Args:
        paths: The files.
        sentences_column: Column of the lists of sentences.
        language: Language of running text, which is then split into sentences.
        books: Whether a text file is one document.

    Yields:
        For each document its place, like `"stories.csv:17"`, and its row with all columns.

    Raises:
        FileNotFoundError: If a file does not exist.
        TypeError: If a document is no list of strings; the message names file, line and column.
        ValueError: If a file is empty, of an unknown kind, or malformed; likewise.

    Example:
        >>> list(read_files(["stories.csv"]))
        [('stories.csv:2', {'storyid': '7', 'sentences': ['Tom bought a cake.', 'Then he ate it.']})]
    """
    for path in paths:
        row = None
        for where, row in _read_file(path, sentences_column, language, books):
            if sentences_column in row:
                check_sentences(row[sentences_column], where)
            else:
                row = gather_sentences(row, numbered_columns(row), sentences_column, where)
            yield where, row
        if row is None:
            raise ValueError(f"{path}: the file is empty.")


def numbered_columns(columns: Iterable[str]) -> list[str]:
    """Find columns that hold one sentence each.

    Args:
        columns: Names of columns.

    Returns:
        Those like `sentence1`, `sentence2` in the order of their numbers; none if there are fewer than two.
    """
    numbered = {int(match[1]): column for column in columns if (match := NUMBERED_COLUMN.fullmatch(column))}
    return [numbered[number] for number in sorted(numbered)] if len(numbered) > 1 else []


def gather_sentences(row: Row, columns: Sequence[str], sentences_column: str, where: str) -> Row:
    """Put the sentences of numbered columns into a list.

    Args:
        row: A row.
        columns: What `numbered_columns` found; if nothing, the row stays as it is.
        sentences_column: Name of the column for the list.
        where: The row's place, for messages.

    Returns:
        The row with the list instead of these columns; empty ones at the end are left out.

    Raises:
        ValueError: If a sentence before the last one is empty.
    """
    if not columns:
        return row
    sentences = [row[column] for column in columns]
    while sentences and _is_empty(sentences[-1]):
        sentences.pop()
    for column, sentence in zip(columns, sentences, strict=False):
        if _is_empty(sentence):
            raise ValueError(f"{where}, column {column!r}: is empty, but a later sentence is not.")
    check_sentences(sentences, where)
    return {name: value for name, value in row.items() if name not in columns} | {sentences_column: sentences}


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _read_file(path: str, sentences_column: str, language: str | None, books: bool) -> Iterator[tuple[str, Row]]:
    """Read one file by its suffix."""
    suffix = Path(path.removesuffix(".gz")).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"{path}: expected a file that ends in {', '.join(filter(None, SUFFIXES))}, or these with .gz."
        )
    if suffix not in TEXT_SUFFIXES and (language is not None or books):
        raise ValueError(f"{path}: a language and books are for text files, whose sentences are not told apart yet.")
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file {path!r}.")
    with cast(BinaryIO, gzip.open(path) if path.endswith(".gz") else open(path, "rb")) as file:
        try:
            if suffix in TEXT_SUFFIXES:
                yield from _read_text(file, path, sentences_column, language, books)
            elif suffix in DELIMITERS:
                yield from _read_csv(file, path, sentences_column, DELIMITERS[suffix])
            elif suffix == ".parquet":
                yield from _read_parquet(file, path)
            else:
                yield from _read_json(file, path)
        except (gzip.BadGzipFile, EOFError) as error:
            raise ValueError(f"{path}: is no complete gzip file ({error}).") from error


def _read_json(file: BinaryIO, path: str) -> Iterator[tuple[str, Row]]:
    """Read a JSON object a line, or a file that is one array of objects."""
    first = next((line for line in file if not is_blank(line)), b"")
    file.seek(0)
    if Path(path.removesuffix(".gz")).suffix.lower() == ".json" and decode(first, path).lstrip().startswith("["):
        try:
            rows = json.loads(decode(file.read(), path))
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}:{error.lineno}: is not JSON ({error.msg} at column {error.colno}).") from error
        pieces = ((f"{path}, element {index}", json.dumps(row).encode()) for index, row in enumerate(rows))
    else:
        pieces = ((f"{path}:{number}", line) for number, line in json_lines(file))
    for where, piece in pieces:
        row = parse_json(piece, where, allow_list=False)
        yield where, _without_surrogates(row, path) if rb"\u" in piece else row


def _without_surrogates(row: Row, path: str) -> Row:
    """Replace lone surrogates, which JSON can hold and Arrow refuses, by question marks, as encoding does."""
    text = json.dumps(row, ensure_ascii=False)
    encoded = text.encode("utf-8", "replace")
    if encoded == text.encode("utf-8", "surrogatepass"):
        return row
    logger.warning_once(f"{path}: halves of characters (lone surrogates) became question marks.")
    return json.loads(encoded)


def _read_csv(file: BinaryIO, path: str, sentences_column: str, delimiter: str) -> Iterator[tuple[str, Row]]:
    """Read a table whose first line names the columns; all values are strings, a list of sentences is JSON."""
    lines = (decode(line, f"{path}:{number}") for number, line in enumerate(file, start=1))
    csv.field_size_limit(2**31 - 1)  # A cell may hold a book.
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] = []
    try:
        header = next(reader, [])
        for values in reader:
            if not values:  # A blank line.
                continue
            where = f"{path}:{reader.line_num}"
            if len(values) != len(header):
                raise ValueError(f"{where}: has {len(values)} columns, but the header {len(header)}: {header}.")
            row: Row = dict(zip(header, values, strict=True))
            if sentences_column in row:
                row[sentences_column] = _parse_list(row[sentences_column], f"{where}, column {sentences_column!r}")
            yield where, row
    except csv.Error as error:
        raise ValueError(f"{path}:{reader.line_num}: is no table ({error}).") from error


def _parse_list(cell: str, where: str) -> list[Any]:
    try:
        sentences = json.loads(cell)
    except json.JSONDecodeError:
        sentences = None
    if not isinstance(sentences, list):
        raise ValueError(f'{where}: expected a JSON list like ["Tom ate.", "He slept."], but found {cell!r:.80}.')
    return sentences


def _read_parquet(file: BinaryIO, path: str) -> Iterator[tuple[str, Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path}: is no Parquet file ({error}).") from error
    rows = (row for batch in table.iter_batches() for row in batch.to_pylist())
    for number, row in enumerate(rows):
        yield f"{path}, row {number}", row


def _read_text(
    file: BinaryIO, path: str, sentences_column: str, language: str | None, books: bool
) -> Iterator[tuple[str, Row]]:
    """Read paragraphs, or a book of them."""
    book: list[str] = []
    for number, piece in join_paragraphs(file):
        where = f"{path}:{number}"
        lines = decode(piece, where).split("\n")
        if language is not None:
            units = split_sentences(" ".join(lines), language)
        else:
            units = [" ".join(lines)] if books else lines
        if books:
            book += units
        else:
            yield where, {sentences_column: units}
    if book:
        yield path, {sentences_column: book, "source": path}


def split_sentences(text: str, language: str) -> list[str]:
    """Split running text into sentences with `sentencex`.

    Args:
        text: A paragraph.
        language: Its language, an ISO 639-1 code.

    Returns:
        Its sentences.

    Raises:
        ImportError: If `sentencex` is not installed.

    Example:
        >>> split_sentences("Dr. Smith bought a cake. He ate it.", "en")
        ['Dr. Smith bought a cake.', 'He ate it.']
    """
    try:
        from sentencex import segment
    except ImportError as error:
        raise ImportError(
            "Splitting text into sentences needs sentencex: `pip install 'sentence-ordering[text]'`. Text with one "
            "sentence a line needs no splitting."
        ) from error
    return [sentence.strip() for sentence in segment(language, text) if sentence.strip()]
