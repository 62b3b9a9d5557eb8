"""Put the sentences of documents in order.

    sentence-ordering order --model output/quickstart --input shuffled.jsonl --output ordered.jsonl
    sentence-ordering order --model output/quickstart < shuffled.txt

Input is one of the forms that `prepare` reads, from a file, a pipe or standard input, also with .gz: JSON, JSONL, CSV,
TSV, Parquet, or text with one sentence a line and a blank line between documents. In JSON a document is an object with
a list of strings under "sentences", or such a list itself; in tables a row. Output is of the same form, or of the one
that the name of --output says: text in reading order, or the objects and rows with "sentences" in reading order and
"order", "scores", "positions" and "confidence" added. An object may say under "constraints" what its order has to keep
(docs/answers.md). Numbered columns of a table (sentence1, ...) are kept.

With --output_dir, --input may be a glob in quotes. Every file that it matches, a shard, gets one of the same name in
that folder; --num_processes orders several at once. The same command, run again after a crash, orders what is missing:

    sentence-ordering order --input 'shards/*.parquet' --output_dir ordered --num_processes 4 --on_error skip

A file is written aside and renamed when it is whole. Answers come many at a time, because documents of similar length
share a batch: where a program writes documents into a pipe and waits for the answer to each, say `--batch_size 1`.
"""

from __future__ import annotations

import gzip
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ..orderers import describe_orderer, locate_orderer
from .arguments import parse_arguments
from .loading import load_orderer
from .order_arguments import OrderArguments, PipelineArguments, ShardArguments

if TYPE_CHECKING:
    import pyarrow as pa

    from ..data.documents import Document
    from ..data.writing import RowWriter

# What an answer adds to a row; the values are examples, which tell a table the types.
ADDED: dict[str, Any] = {"order": [0], "scores": [0.5], "positions": [0], "confidence": 0.5}


# An order of which fewer pairs are expected to be right is hardly better than a random one, of which half are.
NEAR_CHANCE = 0.6


def main(argv: list[str] | None = None) -> None:
    """Order documents from a file or standard input to a file or standard output.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    args, many, options = parse_arguments((OrderArguments, ShardArguments, PipelineArguments), argv, "order", __doc__)
    if many.output_dir is not None:
        from .shards import order_shards

        order_shards(args, many, options)
        return
    rejects = {"--rejects": args.rejects} if args.on_error == "skip" else {}
    check_files(args.input, {"--output": args.output} | rejects, args.format)
    tell_orderer(args.model)

    from transformers.utils.logging import tqdm

    from ..data.atomic import write_whole

    try:
        order = load_orderer(args.model, **vars(options))
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    try:
        with write_whole(args.output, *rejects.values()) as files:
            run = Run(order, args, options.overlong, *files)
            with tqdm(desc="Ordering", unit=" documents") as bar:
                run.order(bar.update)
            if run.failure and not run.ordered:
                sys.exit(run.failure)
    except OSError as error:
        sys.exit(f"Cannot write {error.filename or _name(args.output, 'output')}: {error.strerror}.")
    except ValueError as error:  # Scores are not finite.
        sys.exit(str(error))
    if run.failure:
        sys.exit(f"{run.failure}\nOnly the {run.ordered} documents before it were ordered.{run.advice}")
    if run.rejected:
        print(f"{run.rejected} pieces of the input were no documents; see {args.rejects}.", file=sys.stderr)


def tell_orderer(model: str) -> None:
    """Say which orderer is used, if it comes with the package."""
    if locate_orderer(model) != model:
        print(f"Ordering with {describe_orderer(model)}.", file=sys.stderr)


class Run:
    """Orders the documents of a file one after the other, as they are read.

    Args:
        pipeline: The pipeline.
        args: Form of the input, and what to do with what is no document.
        overlong: What the pipeline does with documents that do not fit.
        output: Where to write the answers.
        rejects: Where to write what is no document, if it is to be skipped.

    Attributes:
        read: Number of documents and other pieces of the input that were read.
        ordered: Number of documents that were ordered.
        rejected: Number of pieces of the input that were no documents.
        failure: Why the run stopped before the end of the input, if it did.
        advice: What to do about it.
    """

    def __init__(
        self, pipeline: Any, args: OrderArguments, overlong: str, output: BinaryIO, rejects: BinaryIO | None = None
    ) -> None:
        self.pipeline = pipeline
        self.args = args
        self.overlong = overlong
        self.output = output
        self.rejects = rejects
        self.packed = gzip.GzipFile("", "wb", fileobj=output, mtime=0) if args.output.endswith(".gz") else None
        self.writer: RowWriter | None = None
        self.waiting: deque[Document] = deque()
        self.read = self.ordered = self.rejected = 0
        self.failure = self.advice = ""

    def order(self, progress: Callable[[int], Any] | None = None) -> None:
        """Order all documents, and write the answers.

        Args:
            progress: Called after every batch with the number of documents that it completed.
        """
        from .printing import discard

        try:
            try:
                for answer in self.pipeline(self._read(), progress=progress):
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

    def _read(self) -> Iterator[dict[str, Any]]:
        from ..data import read_documents

        documents = read_documents(
            self.args.input,
            form=None if self.args.format == "auto" else self.args.format,
            allow_list=True,
            check=self._check,
            on_error=None if self.rejects is None else self._reject,
        )
        while True:
            self.output.flush()  # The next document may be long in coming.
            try:
                document = next(documents, None)
                if document is None and self.writer is None:
                    self._begin_empty()
            except (TypeError, ValueError) as error:
                # Told when what came before it is ordered and written.
                self.failure = str(error)
                self.advice = " `--on_error skip` sets it aside." if self.rejects is None else ""
                return
            except OSError as error:
                self.failure = f"Cannot read {error.filename or _name(self.args.input, 'input')}: {error.strerror}."
                return
            if document is None:
                return
            self.waiting.append(document)
            self.read += 1
            yield self._request(document)

    def _check(self, document: Document) -> None:
        """Raise an error if a document cannot be ordered, or its answer could not be written."""
        from ..model.answers import Question, read_request
        from ..model.encoding import check_document

        where = document.piece.where
        if document.sentences is None:
            raise ValueError(f'{where}: the object has no "sentences", only the keys {list(document.row)}.')
        read_request(self._request(document), where, Question())  # Constraints may contradict each other.
        if self.overlong == "shorten":
            check_document(document.sentences, where, self.pipeline.model.config.token_limit)
        if taken := [key for key in ADDED if key in document.row]:
            raise ValueError(f"{where}: has the keys {taken}, which the answer would overwrite. Rename or drop them.")
        if self.writer is None:
            self._begin(document.piece.form, document.piece.schema)
        assert self.writer is not None
        self.writer.check(document.row if self.writer.is_table else document.gather("sentences"), where)

    def _begin(self, form: str, schema: pa.Schema | None) -> None:
        """Begin the output, in the form that its name says, or else in that of the input."""
        from ..data.writing import make_writer

        file = self.output if self.packed is None else cast(BinaryIO, self.packed)
        self.writer = make_writer(_output_form(self.args.output) or form, file, ADDED, schema)

    def _begin_empty(self) -> None:
        """Begin an output without documents, which Parquet and JSON want to be more than an empty file."""
        from ..data.files import form_of
        from ..data.formats import read_schema

        form = form_of(self.args.input) if self.args.format == "auto" else self.args.format
        self._begin(form or "text", read_schema(self.args.input) if form == "parquet" else None)

    def _request(self, document: Document) -> dict[str, Any]:
        """Return what the pipeline is to order, with the constraints that its row may have."""
        constraints = document.row.get("constraints") if isinstance(document.row.get("constraints"), dict) else None
        return {"sentences": document.sentences, "constraints": constraints}

    def _reject(self, record: dict[str, Any]) -> None:
        from ..data.parsing import format_json

        assert self.rejects is not None
        self.rejects.write(format_json(record).encode("utf-8", "backslashreplace"))
        self.read += 1
        self.rejected += 1

    def _write(self, document: Document, answer: dict[str, Any]) -> None:
        assert self.writer is not None
        if self.writer.is_table and document.columns:
            # In numbered columns, of which the last ones may be empty.
            sentences = dict(zip(document.columns, answer.pop("sentences"), strict=False))
            self.writer.write(document.row | sentences | answer)
        else:
            self.writer.write(document.gather("sentences") | answer)
        self.ordered += 1
        if self.output.isatty() and (answer["confidence"] or 1.0) < NEAR_CHANCE and len(answer["order"]) > 1:
            share = f"{answer['confidence']:.0%} of its pairs are expected to be in the right order"
            print(f"{document.piece.where}: hardly better than chance, {share}.", file=sys.stderr)


def check_files(read: str, written: dict[str, str], form: str = "auto") -> None:
    """End the process if a file cannot be read or written, or one would overwrite another.

    Args:
        read: The input; - for standard input.
        written: For each option that names a file to write, the file; - for standard output.
        form: Form of the input; with auto its name has to tell it.
    """
    from ..data.files import form_of

    for option, name in {"--input": read, **written}.items():
        if not name:
            sys.exit(f"{option} is empty. Name a file, or leave it out.")
        if os.path.isdir(name):  # Path's raises for a name that is too long.
            sys.exit(f"{option} {name} is a folder. Name a file.")
    if read != "-" and not os.path.exists(read):
        sys.exit(f"There is no file {read!r} to read.")
    try:
        if form == "auto":
            form_of(read)
    except ValueError as error:
        sys.exit(f"{error} What other files hold is said with `--format`.")
    for name in written.values():
        if read != "-" and os.path.exists(name) and Path(read).samefile(name):
            sys.exit(f"{name} is the input, and would be overwritten. Write to another file.")
        if name != "-" and not os.path.isdir(Path(name).parent):
            sys.exit(f"There is no folder {str(Path(name).parent)!r} to write {name} to.")
    if len({Path(name).resolve() for name in written.values()}) < len(written):
        sys.exit(f"{' and '.join(written)} name the same file. Write to two files.")


def _output_form(name: str) -> str | None:
    """Tell the form from the name of the output; None if it tells nothing."""
    from ..data.files import form_of

    try:
        return form_of(name)
    except ValueError:
        return None


def _name(path: str, standard: str) -> str:
    return f"standard {standard}" if path == "-" else path
