"""The pipeline as an actor of Ray, on tables of pyarrow."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sentence_ordering.commands.answering import ADDED
from sentence_ordering.commands.loading import load_orderer
from sentence_ordering.data.documents import make_document, numbered_columns
from sentence_ordering.data.parsing import Piece
from sentence_ordering.data.tables import convert_rows
from sentence_ordering.model.answers import Question, read_request
from sentence_ordering.model.encoding import check_document

# The types of what an answer adds to a row.
ADDED_TYPES = {name: pa.array([example]).type for name, example in ADDED["order"].items()}
# Column that says of a row that was kept why it is no document.
REASON = "reason"


def find_columns(schema: pa.Schema, on_error: str) -> list[str]:
    """Find the columns of the sentences, and check that an answer fits beside what is there.

    Args:
        schema: The columns of the input.
        on_error: What to do with a row that is no document.

    Returns:
        `["sentences"]`, a column of lists, or the columns that hold one sentence each.

    Raises:
        ValueError: If there are none, or they are of another type, or an answer would overwrite a column.
    """
    taken = [name for name in (*ADDED_TYPES, *([REASON] if on_error == "skip" else [])) if name in schema.names]
    if taken:
        raise ValueError(f"The input has the columns {taken}, which the answer would overwrite. Rename or drop them.")
    columns = ["sentences"] if "sentences" in schema.names else numbered_columns(schema.names, "the input")
    if not columns:
        raise ValueError(f"The input has no column 'sentences', nor sentence1, sentence2, ..., only {schema.names}.")
    for name in columns:
        found = schema.field(name).type
        is_list = pa.types.is_list(found) or pa.types.is_large_list(found)
        text = found.value_type if is_list and columns == ["sentences"] else found
        if not (pa.types.is_string(text) or pa.types.is_large_string(text)) or (text is found) != (len(columns) > 1):
            wanted = "lists of strings" if columns == ["sentences"] else "strings"
            raise ValueError(f"The column {name!r} is of type {found}, but has to hold {wanted}.")
    return columns


class Orderer:
    """The pipeline, held by an actor.

    Args:
        model: The orderer.
        options: Options of the pipeline.
        columns: The columns of the sentences: one of lists, or one for each sentence.
        id_column: The column of the ids.
        on_error: What to do with a row that is no document.
    """

    def __init__(self, model: str, options: dict[str, Any], columns: list[str], id_column: str, on_error: str) -> None:
        self.pipeline = load_orderer(model, **options)
        self.shortens = options["overlong"] == "shorten"
        self.columns, self.id_column, self.on_error = columns, id_column, on_error

    def __call__(self, table: pa.Table) -> pa.Table:
        """Order the documents of some rows.

        Args:
            table: The rows.

        Returns:
            The rows with their sentences in reading order and what an answer adds; behind them those that are no
            documents, as they were.

        Raises:
            TypeError: If a row is no document, and such are not to be kept.
            ValueError: Likewise.
        """
        requests: list[dict[str, Any]] = []
        reasons: list[str | None] = []
        for row_id, row in zip(table[self.id_column].to_pylist(), self._rows(table), strict=True):
            try:
                requests.append(self._request(row, f"{self.id_column} {row_id!r}"))
                reasons.append(None)
            except (TypeError, ValueError) as error:
                if self.on_error == "stop":
                    raise
                reasons.append(str(error))
        is_document = pa.array([reason is None for reason in reasons], pa.bool_())
        ordered = self._answer(table.filter(is_document), requests)
        if self.on_error == "stop":
            return ordered
        kept = table.filter(pc.invert(is_document))
        for name, added_type in ADDED_TYPES.items():
            kept = kept.append_column(name, pa.nulls(len(kept), added_type))
        told = pa.array([reason for reason in reasons if reason is not None], pa.string())
        no_reason = pa.nulls(len(ordered), pa.string())
        return pa.concat_tables([ordered.append_column(REASON, no_reason), kept.append_column(REASON, told)])

    def _rows(self, table: pa.Table) -> list[dict[str, Any] | Exception]:
        """Convert what the pipeline is given; other columns stay as they are."""
        given = table.select([name for name in table.column_names if name in {*self.columns, "constraints"}])
        return [row for batch in given.to_batches() for row in convert_rows(batch)]

    def _request(self, row: dict[str, Any] | Exception, where: str) -> dict[str, Any]:
        """Return what the pipeline is to order, if a row is a document."""
        if isinstance(row, Exception):
            raise ValueError(f"{where}: has a value that cannot be read ({row}).") from row
        document = make_document(Piece("parquet", where, 0, row, lambda: row), "sentences")
        request = document.request("order")
        read_request(request, where, Question())  # Constraints may contradict each other.
        if self.shortens:
            check_document(document.sentences, where, self.pipeline.model.config.token_limit)
        return request

    def _answer(self, table: pa.Table, requests: list[dict[str, Any]]) -> pa.Table:
        """Put the sentences of documents in order, and add the rest of the answers."""
        answers = list(self.pipeline(iter(requests)))
        orders = [answer["sentences"] for answer in answers]
        if self.columns == ["sentences"]:
            values = [orders]
        else:  # A column for each sentence, of which the last ones may be empty.
            values = [[order[i] if i < len(order) else None for order in orders] for i in range(len(self.columns))]
        for name, column in zip(self.columns, values, strict=True):
            place = table.column_names.index(name)
            table = table.set_column(place, table.schema.field(name), pa.array(column, table.schema.field(name).type))
        for name, added_type in ADDED_TYPES.items():
            table = table.append_column(name, pa.array([answer[name] for answer in answers], added_type))
        return table
