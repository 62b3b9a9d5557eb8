"""Rows to files: JSON, CSV, Parquet and text, one row at a time."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, BinaryIO

from .parsing import Row, as_text, encode, format_json
from .tables import DELIMITERS, ROWS_AT_ONCE

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


class RowWriter:
    """Writes rows as JSON lines; other forms are subclasses.

    Args:
        file: Where to write.
    """

    # Whether a row has one cell for each column, and sentences may stand in columns of their own.
    is_table = False

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def check(self, row: Row, where: str) -> None:
        """Check that a row can be written, before the model reads it.

        Args:
            row: A row; called in the order in which rows are written.
            where: Its place, to begin the error message with.

        Raises:
            ValueError: If it cannot; the message says what to do.
        """

    def write(self, row: Row) -> None:
        """Write a row."""
        self.file.write(encode(format_json(row)))

    def finish(self) -> None:
        """Write what is missing at the end."""


class JsonArrayWriter(RowWriter):
    """Writes rows as one JSON array."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.before = "[\n"

    def write(self, row: Row) -> None:
        """Write a row."""
        self.file.write(encode(self.before + format_json(row).rstrip("\n")))
        self.before = ",\n"

    def finish(self) -> None:
        """Close the array."""
        # "[]" on one line would be read as one document without sentences.
        self.file.write(encode("[\n]\n" if self.before == "[\n" else "\n]\n"))


class TextWriter(RowWriter):
    """Writes a sentence a line, and a blank line behind every document."""

    def check(self, row: Row, where: str) -> None:
        """Check that reading the text gives the same sentences."""
        if not row["sentences"]:
            raise ValueError(f"{where}: has no sentences, which text has no way to say. Write JSONL.")
        for index, sentence in enumerate(row["sentences"]):
            _check_encodable(sentence, where)
            if not sentence.strip() or "\n" in sentence or "\r" in sentence or sentence.startswith("\ufeff"):
                raise ValueError(
                    f"{where}: sentence {index} is blank, has several lines, or begins with a byte order mark, which "
                    "text would make other sentences of. Write JSONL."
                )

    def write(self, row: Row) -> None:
        """Write the sentences of a row."""
        self.file.write(encode("\n".join(row["sentences"]) + "\n\n"))


class TableWriter(RowWriter):
    """Writes rows that all have the columns of the first one.

    Args:
        file: Where to write.
        added: Columns that rows get after they were checked, with an example of their values.
    """

    is_table = True

    def __init__(self, file: BinaryIO, added: Row) -> None:
        super().__init__(file)
        self.added = added
        self.columns: list[str] | None = None

    def check(self, row: Row, where: str) -> None:
        """Check that a row has no other columns than the first one that could be written, and that its cells fit."""
        columns = list(row) if self.columns is None else self.columns
        if surplus := [name for name in row if name not in columns]:
            raise ValueError(
                f"{where}: has {surplus}, which are no columns of the table that the first row began: {columns}. "
                "Write JSONL."
            )
        self.check_cells(row, where)
        self.columns = columns

    def check_cells(self, row: Row, where: str) -> None:
        """Check that the values of a row can be written."""


class CsvWriter(TableWriter):
    """Writes CSV; whole numbers, truth values, lists and objects become JSON.

    Args:
        file: Where to write.
        added: Columns that rows get after they were checked, with an example of their values.
        delimiter: What stands between cells.
    """

    def __init__(self, file: BinaryIO, added: Row, delimiter: str) -> None:
        super().__init__(file, added)
        self.delimiter = delimiter
        self.has_header = False

    def check_cells(self, row: Row, where: str) -> None:
        """Check that reading the cells gives the same values."""
        for name, value in row.items():
            _check_encodable(name, where)
            if isinstance(value, str):
                _check_encodable(value, where)

    def write(self, row: Row) -> None:
        """Write a row, and in front of the first one the header."""
        columns = self._write_header()
        self._write_line(["" if row.get(name) is None else _as_text(row[name]) for name in columns])

    def finish(self) -> None:
        """Write the header of a table without rows."""
        if self.columns:
            self._write_header()

    def _write_header(self) -> list[str]:
        assert self.columns is not None
        columns = [*self.columns, *self.added]
        if not self.has_header:
            self.has_header = True
            self._write_line(columns)
        return columns

    def _write_line(self, cells: list[str]) -> None:
        line = io.StringIO()
        csv.writer(line, delimiter=self.delimiter).writerow(cells)
        self.file.write(encode(line.getvalue()))


class ParquetWriter(TableWriter):
    """Writes Parquet, some rows at a time.

    Args:
        file: Where to write.
        added: Columns that rows get after they were checked, with an example of their values.
        schema: Types of the others; by default those of the first row, in which anything but strings, numbers and
            sentences becomes JSON, because the values of a column all have one type.
    """

    def __init__(self, file: BinaryIO, added: Row, schema: pa.Schema | None) -> None:
        super().__init__(file, added)
        self.schema = schema
        self.is_inferred = schema is None
        self.columns = None if schema is None else schema.names
        self.as_json: list[str] = []
        self.rows: list[Row] = []
        self.table: pq.ParquetWriter | None = None

    def check_cells(self, row: Row, where: str) -> None:
        """Check that a row fits under the types of the first one."""
        import pyarrow as pa

        before = self.schema, self.as_json
        try:
            if self.schema is None:
                self._infer_schema(row)
            cells = self._cells(row)
            table = pa.Table.from_pylist([cells], self.schema)
            if self.is_inferred:
                _check_equal(table.to_pylist()[0], cells)
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            self.schema, self.as_json = before  # A row that is not written is not the first one.
            raise ValueError(f"{where}: does not fit into the Parquet file ({error}). Write JSONL.") from error

    def write(self, row: Row) -> None:
        """Write a row, when there are enough."""
        self.rows.append(self._cells(row))
        if len(self.rows) == ROWS_AT_ONCE:
            self._write_rows()

    def finish(self) -> None:
        """Write the last rows, and what tells where they are."""
        self._write_rows()
        assert self.table is not None
        self.table.close()

    def _infer_schema(self, row: Row) -> None:
        import pyarrow as pa

        simple = (str, int, float, bool)
        self.as_json = [name for name, value in row.items() if not isinstance(value, simple) and name != "sentences"]
        types = {name: pa.string() if name in self.as_json else pa.scalar(value).type for name, value in row.items()}
        if "sentences" in types:
            types["sentences"] = pa.list_(pa.string())  # Also if the first document has none.
        self.schema = pa.schema(types)

    def _cells(self, row: Row) -> Row:
        return row | {name: _as_text(row[name]) for name in self.as_json if row.get(name) is not None}

    def _write_rows(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self.table is None:
            added = pa.Table.from_pylist([self.added]).schema
            schema = self.schema or pa.schema([])
            self.table = pq.ParquetWriter(self.file, pa.schema([*schema, *added], schema.metadata))
        self.table.write_table(pa.Table.from_pylist(self.rows, self.table.schema))
        self.rows = []


def make_writer(form: str, file: BinaryIO, added: Row, schema: pa.Schema | None = None) -> RowWriter:
    """Make a writer of rows.

    Args:
        form: One of the values of `FORMATS`.
        file: Where to write.
        added: Columns that rows get after they were checked, with an example of their values.
        schema: For Parquet, the types of the other columns, if they are known.

    Returns:
        The writer.

    Raises:
        ValueError: If the form is not for this file.

    Example:
        >>> with write_whole("ordered.csv") as [file]:
        ...     writer = make_writer("csv", file, {"order": [0]})
        ...     writer.check({"sentences": ["b", "a"]}, "row 0")
        ...     writer.write({"sentences": ["a", "b"], "order": [1, 0]})
        ...     writer.finish()
    """
    if form in DELIMITERS:
        return CsvWriter(file, added, DELIMITERS[form])
    if form == "parquet":
        if file.isatty():
            raise ValueError("Parquet is not for a terminal. Name a file.")
        return ParquetWriter(file, added, schema)
    return {"jsonl": RowWriter, "json": JsonArrayWriter, "text": TextWriter}[form](file)


def _check_encodable(text: str, where: str) -> None:
    """Refuse half a character (a lone surrogate), which only JSON can write as what it is."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{where}: {text!r:.80} is no text that UTF-8 can hold ({error.reason}). Write JSONL."
        ) from error


def _as_text(value: Any) -> str:
    """Write what JSON has a form of its own for as JSON, and all else, dates and decimals for example, as its text."""
    return format_json(value).rstrip("\n") if isinstance(value, (int, list, tuple, dict)) else as_text(value)


def _check_equal(converted: Row, cells: Row) -> None:
    """Refuse values that pyarrow has changed to fit under a type: fractions cut off, truth values as numbers."""
    for name, found in converted.items():
        value = cells.get(name)
        is_nan = found != found and value != value
        if not is_nan and (found != value or isinstance(found, bool) != isinstance(value, bool)):
            raise ValueError(f"{name} is {value!r}, and would become {found!r} under the type of the first row")
