"""Rows of tables: CSV, TSV and Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from .parsing import Piece, Row, decode, is_blank

if TYPE_CHECKING:
    import pyarrow as pa

DELIMITERS = {"csv": ",", "tsv": "\t"}
ROWS_AT_ONCE = 1024


def read_csv(lines: Iterable[bytes], source: str, sentences_column: str, form: str) -> Iterator[Piece]:
    """Read a table whose first line names the columns; all values are strings, a list of sentences is JSON.

    Args:
        lines: The lines of the file.
        source: Its name.
        sentences_column: Column of JSON lists.
        form: `"csv"` or `"tsv"`.

    Yields:
        The rows behind the header, without blank ones.

    Raises:
        ValueError: If the header cannot be read, or names two columns alike.
    """
    csv.field_size_limit(2**31 - 1)  # A cell may hold a book.
    table = _Lines(lines)
    reader = csv.reader(table, delimiter=DELIMITERS[form], strict=True)
    header: list[str] | None = None
    while True:
        table.taken.clear()
        number = table.number + 1
        where = f"{source}:{number}"
        values: list[str] | csv.Error
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            values = error
        raw = b"".join(table.taken)
        if values == [] or (header is None and is_blank(raw)):
            continue
        if header is None:
            header = _check_cells(raw, values, where)
            check_names(header, where)
        else:
            parse = partial(_parse_csv_row, raw, header, values, where, sentences_column)
            yield Piece(form, where, number, raw.rstrip(b"\r\n"), parse)


def check_names(names: Sequence[str], source: str) -> None:
    """Check that no two columns have the same name, because a row holds one value for each.

    Args:
        names: Names of columns.
        source: Where they stand, to begin the error message with.

    Raises:
        ValueError: If two are alike; the message says which.
    """
    places: dict[str, int] = {}
    for place, name in enumerate(names, start=1):
        first = places.setdefault(name, place)
        if first != place:
            raise ValueError(f"{source}: columns {first} and {place} are both named {name!r}. Rename one of them.")


class _Lines:
    """Decoded lines for the `csv` module, and the bytes of those that it took for a row.

    What is no UTF-8 becomes lone surrogates, which no UTF-8 does, so that the reader goes on to the row's end.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.lines = iter(lines)
        self.taken: list[bytes] = []
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self.lines)
        self.taken.append(line)
        self.number += 1
        return line.decode("utf-8", "surrogateescape")


def _check_cells(raw: bytes, values: list[str] | csv.Error, where: str) -> list[str]:
    decode(raw, where)  # Tells what the surrogates stand for.
    if isinstance(values, csv.Error):
        raise ValueError(f"{where}: is no table ({values}).") from values
    return values


def _parse_csv_row(
    raw: bytes, header: list[str], values: list[str] | csv.Error, where: str, sentences_column: str
) -> Row:
    cells = _check_cells(raw, values, where)
    if len(cells) != len(header):
        raise ValueError(f"{where}: has {len(cells)} columns, but the header {len(header)}: {header}.")
    row: Row = dict(zip(header, cells, strict=True))
    if sentences_column in row:
        row[sentences_column] = _parse_list(row[sentences_column], f"{where}, column {sentences_column!r}")
    return row


def _parse_list(cell: str, where: str) -> list[Any]:
    try:
        sentences = json.loads(cell)
    except (ValueError, RecursionError):
        sentences = None
    if not isinstance(sentences, list):
        raise ValueError(f'{where}: expected a JSON list like ["Tom ate.", "He slept."], but found {cell!r:.80}.')
    return sentences


def read_parquet(file: BinaryIO, source: str) -> Iterator[Piece]:
    """Read the rows of a Parquet file, some at a time.

    Args:
        file: The file; must be able to seek.
        source: Its name.

    Yields:
        The rows.

    Raises:
        ValueError: If it is no Parquet file, is damaged, or names two columns alike.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        table = pq.ParquetFile(file)
        check_names(table.schema_arrow.names, source)
        for batch in table.iter_batches(ROWS_AT_ONCE):
            for row in convert_rows(batch):
                where = f"{source}, row {number}"
                raw = "" if isinstance(row, Exception) else row
                parse = partial(_parse_parquet_row, row, where)
                yield Piece("parquet", where, number, raw, parse, batch.schema)
                number += 1
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # The last of a column's name.
        raise ValueError(f"{source}: is no Parquet file that can be read ({error}).") from error


def convert_rows(batch: pa.RecordBatch) -> list[Row | Exception]:
    """Convert rows, one by one if not all of them can be.

    Args:
        batch: The rows.

    Returns:
        The rows as dicts; in place of one that cannot be converted the error.
    """
    try:
        return batch.to_pylist()
    except (ValueError, ArithmeticError) as error:  # Text that is no UTF-8; dates beyond the year 9999.
        if batch.num_rows == 1:
            return [error]
        return [row for index in range(batch.num_rows) for row in convert_rows(batch.slice(index, 1))]


def _parse_parquet_row(row: Row | Exception, where: str) -> Row:
    if isinstance(row, Exception):
        raise ValueError(f"{where}: has a value that cannot be read ({row}).") from row
    return row
