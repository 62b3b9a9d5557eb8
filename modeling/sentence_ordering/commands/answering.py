"""A run over the documents of one file: read, answered by the pipeline, and written one after the other."""

from __future__ import annotations

import gzip
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from .order_arguments import OrderArguments

if TYPE_CHECKING:
    import pyarrow as pa

    from ..data.documents import Document
    from ..data.writing import RowWriter

# For each of the pipeline's answers what it adds to a row; the values are examples, which tell a table the types.
ADDED: dict[str, dict[str, Any]] = {
    "order": {"order": [0], "scores": [0.5], "positions": [0], "confidence": 0.5},
    "score": {
        "coherence": 0.5,
        "better_than_random": 0.5,
        "sentence_coherence": [0.5],
        "neighbour_probabilities": [0.5],
        "weakest": {"sentence": 0, "place": 0, "probability": 0.5},
        "scores": [0.5],
    },
    "insert": {"order": [0], "places": [0], "place_probabilities": [[0.5]]},
}

# An order of which fewer pairs are expected to be right is hardly better than a random one, of which half are.
NEAR_CHANCE = 0.6


class Run:
    """Answers what is asked about the documents of a file one after the other, as they are read.

    Args:
        pipeline: The pipeline, loaded with this answer.
        args: The input, its form, and the name of the output, which is packed if that ends in `.gz`.
        overlong: What the pipeline does with documents that do not fit.
        output: Where to write the answers.
        rejects: Where to write what is no document, if it is to be skipped.
        answer: What is asked, one of the keys of `ADDED`.
        form: Form of the output; by default that of the input.

    Attributes:
        read: Number of documents and other pieces of the input that were read.
        answered: Number of documents that were answered.
        rejected: Number of pieces of the input that were no documents.
        failure: Why the run stopped before the end of the input, if it did.
        advice: What to do about it.
    """

    def __init__(
        self,
        pipeline: Any,
        args: OrderArguments,
        overlong: str,
        output: BinaryIO,
        rejects: BinaryIO | None = None,
        *,
        answer: str = "order",
        form: str | None = None,
    ) -> None:
        from ..data.files import is_packed

        self.pipeline = pipeline
        self.args = args
        self.overlong = overlong
        self.output = output
        self.rejects = rejects
        self.answer = answer
        self.form = form
        self.packed = gzip.GzipFile("", "wb", fileobj=output, mtime=0) if is_packed(args.output) else None
        self.writer: RowWriter | None = None
        self.waiting: deque[Document] = deque()
        self.read = self.answered = self.rejected = 0
        self.failure = self.advice = ""
        self._unwritable: OSError | None = None

    def answer_all(self, progress: Callable[[int], Any] | None = None) -> None:
        """Answer all documents, and write the answers.

        Args:
            progress: Called after every batch with the number of documents that it completed.
        """
        from .printing import discard

        try:
            try:
                for answer in self._ask(progress):
                    self._write(self.waiting.popleft(), answer)
            except KeyboardInterrupt:
                self.failure = "Interrupted."
            if self.writer is not None:
                self.writer.finish()
            if self.packed is not None:
                self.packed.close()
            self.output.flush()
        except BrokenPipeError:  # The reader of the output, `head` for example, wants no more of it.
            discard(self.output)

    def _ask(self, progress: Callable[[int], Any] | None) -> Iterator[dict[str, Any]]:
        try:
            yield from self.pipeline(self._read(), progress=progress)
        except ValueError as error:  # Scores are not finite.
            self.failure = str(error)
        except (MemoryError, RuntimeError) as error:  # Memory does not suffice, a device is lost.
            reason, _, _ = str(error).strip().partition("\n")
            self.failure = f"{type(error).__name__}: {reason}"
            if isinstance(error, MemoryError) or "memory" in str(error):
                self.advice = " Give a smaller --batch_size, or --max_tokens_per_batch."

    def _read(self) -> Iterator[dict[str, Any]]:
        from ..data import read_documents

        documents = read_documents(
            self.args.input,
            form=None if self.args.format == "auto" else self.args.format,
            allow_list=True,
            check=self._check,
            on_error=self._reject,
        )
        while True:
            self.output.flush()  # The next document may be long in coming.
            try:
                document = next(documents, None)
                if document is None and self.writer is None:
                    self._begin_empty()
            except (TypeError, ValueError) as error:
                # Told when what came before it is answered and written.
                self.failure = str(error)
                return
            except OSError as error:
                if error is self._unwritable:
                    raise
                name = "standard input" if self.args.input == "-" else self.args.input
                self.failure = f"Cannot read {error.filename or name}: {error.strerror}."
                return
            if document is None:
                return
            self.waiting.append(document)
            self.read += 1
            yield document.request(self.answer)

    def _check(self, document: Document) -> None:
        """Raise an error if a document cannot be answered, or its answer could not be written."""
        from ..model.answers import Question, read_request
        from ..model.encoding import check_document

        where = document.piece.where
        if document.sentences is None:
            raise ValueError(f'{where}: the object has no "sentences", only the keys {list(document.row)}.')
        # Constraints may contradict each other, or sentences to insert be missing.
        request = read_request(document.request(self.answer), where, Question(self.answer))
        if self.overlong == "shorten":
            check_document(request.sentences, where, self.pipeline.model.config.token_limit)
        self._check_keys(document.row, where)
        if self.writer is None:
            self._begin(document.piece.form, document.piece.schema)
        assert self.writer is not None
        row = self._row(document)
        self.writer.check(row | {"sentences": request.sentences} if self.answer == "insert" else row, where)

    def _check_keys(self, keys: Iterable[str], where: str) -> None:
        if taken := [key for key in ADDED[self.answer] if key in keys]:
            raise ValueError(f"{where}: has the keys {taken}, which the answer would overwrite. Rename or drop them.")

    def _begin(self, form: str, schema: pa.Schema | None = None) -> None:
        """Begin the output, in the form that is asked for, or else in that of the input."""
        from ..data.documents import gather_fields
        from ..data.writing import make_writer

        if form == "text" and self.answer == "score":  # Text has no room for what is told.
            form = "jsonl"
        if self.answer == "insert" and schema is not None:
            schema = gather_fields(schema)
        file = self.output if self.packed is None else cast(BinaryIO, self.packed)
        self.writer = make_writer(self.form or form, file, ADDED[self.answer], schema)

    def _begin_empty(self) -> None:
        """Begin an output without documents, which of most forms is more than an empty file."""
        from ..data.documents import gather_keys
        from ..data.files import form_of
        from ..data.formats import read_columns, read_schema

        path = self.args.input
        form = (form_of(path) if self.args.format == "auto" else self.args.format) or "text"
        self._begin(form, read_schema(path) if form == "parquet" else None)
        assert self.writer is not None
        columns = read_columns(path, form)
        self._check_keys(columns, path)
        if columns and self.writer.is_table:
            self.writer.check(gather_keys(columns) if self.answer == "insert" else dict.fromkeys(columns), path)

    def _row(self, document: Document) -> dict[str, Any]:
        """Return the row that an answer is added to; numbered columns stay in a table, unless there are to be more."""
        assert self.writer is not None
        keeps_columns = self.writer.is_table and self.answer != "insert"
        return document.row if keeps_columns else document.gather("sentences")

    def _reject(self, record: dict[str, Any]) -> None:
        from ..data.parsing import encode, format_json

        if self.rejects is None:
            self.advice = " `--on_error skip` sets it aside."  # As it does not what is wrong with the file as a whole.
            raise ValueError(record["reason"])
        try:
            self.rejects.write(encode(format_json(record)))
        except OSError as error:  # Not to be taken for one of reading, in the midst of which it is raised.
            error.filename, self._unwritable = self.args.rejects, error
            raise
        self.read += 1
        self.rejected += 1

    def _write(self, document: Document, answer: dict[str, Any]) -> None:
        from ..data.parsing import replace_infinite

        assert self.writer is not None
        row = self._row(document)
        if "sentences" in answer and "sentences" not in row:
            # In numbered columns, of which the last ones may be empty.
            answer = dict(zip(document.columns, answer["sentences"], strict=False)) | answer
            del answer["sentences"]
        if document.piece.form == "parquet" and not self.writer.is_table:
            row = replace_infinite(row)
        self.writer.write(row | answer)
        self.answered += 1
        if self.output.isatty() and (answer.get("confidence") or 1.0) < NEAR_CHANCE and len(answer["order"]) > 1:
            share = f"{answer['confidence']:.0%} of its pairs are expected to be in the right order"
            print(f"{document.piece.where}: hardly better than chance, {share}.", file=sys.stderr)
