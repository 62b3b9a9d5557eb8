"""Documents of files: rows whose sentences stand in one column, or in one each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..model.encoding import check_sentences
from .parsing import Piece, Row, parse_json
from .tables import DELIMITERS

if TYPE_CHECKING:
    import pyarrow as pa

# Nine digits at most, because Python refuses to read numbers of thousands of them.
NUMBERED_COLUMN = re.compile(r"sentence[ _]?(\d{1,9})", re.IGNORECASE)

# For each of the pipeline's answers the key, besides the sentences, that it depends on.
ASKED = {"order": "constraints", "insert": "insert"}


@dataclass(slots=True)
class Document:
    """A document of a file.

    Args:
        piece: What it was made of.
        row: The row with all its columns, as it stands in the file.
        sentences: Its sentences; None if the row has none.
        columns: The columns of the sentences, if they have one each.
    """

    piece: Piece
    row: Row
    sentences: Any
    columns: list[str]

    def gather(self, sentences_column: str) -> Row:
        """Return the row with its sentences in one column, instead of in one each."""
        if not self.columns:
            return self.row
        others = {name: value for name, value in self.row.items() if name not in self.columns}
        return others | {sentences_column: self.sentences}

    def request(self, answer: str) -> dict[str, Any]:
        """Return what the pipeline is to answer.

        Args:
            answer: What is asked: `"order"`, `"score"` or `"insert"`.

        Returns:
            The sentences, and what the row says besides that the answer depends on. A column of such a name may be
            anything: in tables only objects and lists count, or texts that are JSON of such.

        Raises:
            ValueError: If a text begins like JSON, and is none.
        """
        key = ASKED.get(answer)
        if key is None:
            return {"sentences": self.sentences}
        asked = self.row.get(key)
        if self.piece.form in (*DELIMITERS, "parquet"):
            if isinstance(asked, str) and asked.lstrip().startswith(("{", "[")):
                asked = parse_json(asked, f"{self.piece.where}, column {key!r}")
            asked = asked if isinstance(asked, (dict, list)) else None
        return {"sentences": self.sentences, key: asked}


def make_document(piece: Piece, sentences_column: str) -> Document:
    """Make a document of a piece of a file.

    Args:
        piece: The piece.
        sentences_column: Column of the lists of sentences.

    Returns:
        The document.

    Raises:
        TypeError: If it is no list of strings; the message names the place.
        ValueError: If it is malformed; likewise.
    """
    row = piece.parse()
    if sentences_column in row:
        check_sentences(row[sentences_column], piece.where)
        return Document(piece, row, row[sentences_column], [])
    columns = numbered_columns(row, piece.where)
    return Document(piece, row, take_sentences(row, columns, piece.where) if columns else None, columns)


def numbered_columns(columns: Iterable[str], where: str) -> list[str]:
    """Find columns that hold one sentence each.

    Args:
        columns: Names of columns.
        where: Where they stand, to begin the error message with.

    Returns:
        Those like `sentence1`, `sentence2` in the order of their numbers; none if there are fewer than two.

    Raises:
        ValueError: If two have the same number.
    """
    numbered: dict[int, str] = {}
    for column in columns:
        if match := NUMBERED_COLUMN.fullmatch(column):
            first = numbered.setdefault(int(match[1]), column)
            if first != column:
                raise ValueError(
                    f"{where}: the columns {first!r} and {column!r} have the same number, so that one of their "
                    "sentences would be lost. Rename one of them."
                )
    return [numbered[number] for number in sorted(numbered)] if len(numbered) > 1 else []


def gather_keys(columns: Sequence[str]) -> Row:
    """Return a row without values of the columns that `Document.gather` leaves."""
    numbered = [] if "sentences" in columns else numbered_columns(columns, "the input")
    kept = [column for column in columns if column not in numbered]
    return dict.fromkeys([*kept, *(["sentences"] if numbered else [])])


def gather_fields(schema: pa.Schema) -> pa.Schema:
    """Return the types of the columns that `Document.gather` leaves; sentences are lists of any length."""
    import pyarrow as pa

    sentences = pa.field("sentences", pa.list_(pa.string()))
    fields = [sentences if name == "sentences" else schema.field(name) for name in gather_keys(schema.names)]
    return pa.schema(fields, schema.metadata)


def take_sentences(row: Row, columns: Sequence[str], where: str) -> list[str]:
    """Take the sentences of numbered columns.

    Args:
        row: A row.
        columns: What `numbered_columns` found.
        where: The row's place, for messages.

    Returns:
        The sentences, without the empty ones at the end.

    Raises:
        TypeError: If one is no string.
        ValueError: If a sentence before the last one is empty.
    """
    sentences = [row[column] for column in columns]
    while sentences and _is_empty(sentences[-1]):
        sentences.pop()
    for column, sentence in zip(columns, sentences, strict=False):
        if _is_empty(sentence):
            raise ValueError(f"{where}, column {column!r}: is empty, but a later sentence is not.")
    check_sentences(sentences, where)
    return sentences


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())
