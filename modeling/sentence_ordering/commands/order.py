"""Put the sentences of documents in order.

    sentence-ordering order --model output/quickstart --input shuffled.jsonl --output ordered.jsonl
    sentence-ordering order --model output/quickstart < shuffled.txt

Input is one of the forms that `prepare` reads, from a file, a pipe or standard input, also with .gz: JSON, JSONL, CSV,
TSV, Parquet, or text with one sentence a line and a blank line between documents. In JSON a document is an object with
a list of strings under "sentences", or such a list itself; in tables a row. Output is of the same form, or of the one
that the name of --output says: text in reading order, or the objects and rows with "sentences" in reading order and
"order", "scores", "positions" and "confidence" added. An object may say under "constraints" what its order has to keep
(docs/answers.md). Numbered columns of a table (sentence1, ...) are kept.

A file is written aside and renamed when it is whole. Answers come many at a time, because documents of similar length
share a batch: where a program writes documents into a pipe and waits for the answer to each, say `--batch_size 1`.
"""

from __future__ import annotations

import gzip
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

from ..orderers import DEFAULT_ORDERER, describe_orderer, locate_orderer
from .arguments import parse_arguments

if TYPE_CHECKING:
    from ..data.documents import Document
    from ..data.writing import RowWriter

# What an answer adds to a row; the values are examples, which tell a table the types.
ADDED: dict[str, Any] = {"order": [0], "scores": [0.5], "positions": [0], "confidence": 0.5}


# An order of which fewer pairs are expected to be right is hardly better than a random one, of which half are.
NEAR_CHANCE = 0.6


@dataclass
class OrderArguments:
    """What to order with what."""

    model: str = field(
        default=DEFAULT_ORDERER,
        metadata={"help": "Orderer: general, which comes with the package, or a folder or a Hub id."},
    )
    input: str = field(default="-", metadata={"help": "File of documents; - for standard input."})
    output: str = field(default="-", metadata={"help": "File to write; - for standard output."})
    format: Literal["auto", "jsonl", "json", "csv", "tsv", "parquet", "text"] = field(
        default="auto", metadata={"help": "Form of the input; auto goes by the file's name, or else by its first line."}
    )
    on_error: Literal["stop", "skip"] = field(
        default="stop", metadata={"help": "At input that is no document: stop, or write it to --rejects and go on."}
    )
    rejects: str = field(
        default="rejects.jsonl", metadata={"help": "File for skipped input, with its source, line, reason and text."}
    )


@dataclass
class PipelineArguments:
    """How the pipeline is to order."""

    batch_size: int = field(default=32, metadata={"help": "Number of documents of a batch."})
    max_tokens_per_batch: int | None = field(
        default=None, metadata={"help": "Number of tokens of a batch, padding included, instead of --batch_size."}
    )
    num_workers: int = field(default=0, metadata={"help": "Number of threads that tokenize ahead."})
    num_shuffles: int = field(
        default=1, metadata={"help": "Number of orders in which the model reads each document; scores are averaged."}
    )
    canonical: bool = field(
        default=False, metadata={"help": "Make the answer independent of the order in which sentences are given."}
    )
    overlong: Literal["window", "shorten"] = field(
        default="window",
        metadata={"help": "Order documents that do not fit the model by windows of their sentences, or shorten those."},
    )
    seed: int = field(default=0, metadata={"help": "Seed of shuffles and windows."})
    int8: bool = field(
        default=False,
        metadata={"help": "Round the backbone's weights to 8 bits: faster on a processor, where it runs then."},
    )


def main(argv: list[str] | None = None) -> None:
    """Order documents from a file or standard input to a file or standard output.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    args, options = parse_arguments((OrderArguments, PipelineArguments), argv, "order", __doc__)
    rejects = {"--rejects": args.rejects} if args.on_error == "skip" else {}
    check_files(args.input, {"--output": args.output} | rejects, args.format)
    if locate_orderer(args.model) != args.model:
        print(f"Ordering with {describe_orderer(args.model)}.", file=sys.stderr)

    from transformers import pipeline

    from .. import auto  # noqa: F401  # registers the pipeline's task
    from ..data.atomic import write_whole

    try:
        order: Any = pipeline("sentence-ordering", model=locate_orderer(args.model), **vars(options))  # type: ignore[call-overload]
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    try:
        with write_whole(args.output, *rejects.values()) as files:
            run = Run(order, args, options.overlong, *files)
            run.order()
            if run.failure and not run.ordered:
                sys.exit(run.failure)
    except OSError as error:
        sys.exit(f"Cannot write {error.filename or _name(args.output, 'output')}: {error.strerror}.")
    if run.failure:
        sys.exit(f"{run.failure}\nOnly the {run.ordered} documents before it were ordered.{run.advice}")
    if run.rejected:
        print(f"{run.rejected} pieces of the input were no documents; see {args.rejects}.", file=sys.stderr)


class Run:
    """Orders the documents of a file one after the other, as they are read.

    Args:
        pipeline: The pipeline.
        args: Form of the input, and what to do with what is no document.
        overlong: What the pipeline does with documents that do not fit.
        output: Where to write the answers.
        rejects: Where to write what is no document, if it is to be skipped.

    Attributes:
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
        self.ordered = self.rejected = 0
        self.failure = self.advice = ""

    def order(self) -> None:
        """Order all documents, and write the answers."""
        from transformers.utils.logging import tqdm

        from .printing import discard

        try:
            try:
                with tqdm(desc="Ordering", unit=" documents") as bar:
                    for answer in self.pipeline(self._read(), progress=bar.update):
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
            yield self._request(document)

    def _check(self, document: Document) -> None:
        """Raise an error if a document cannot be ordered, or its answer could not be written."""
        from ..data.writing import make_writer
        from ..model.answers import Question, read_request
        from ..model.encoding import check_document

        where = document.piece.where
        if document.sentences is None:
            raise ValueError(f'{where}: the object has no "sentences", only the keys {list(document.row)}.')
        read_request(self._request(document), where, Question())  # Constraints may contradict each other.
        if self.overlong == "shorten":
            check_document(document.sentences, where, self.pipeline.model.config)
        if taken := [key for key in ADDED if key in document.row]:
            raise ValueError(f"{where}: has the keys {taken}, which the answer would overwrite. Rename or drop them.")
        if self.writer is None:
            form = _output_form(self.args.output) or document.piece.form
            file = self.output if self.packed is None else cast(BinaryIO, self.packed)
            self.writer = make_writer(form, file, ADDED, document.piece.schema)
        self.writer.check(document.row if self.writer.is_table else document.gather("sentences"), where)

    def _request(self, document: Document) -> dict[str, Any]:
        """Return what the pipeline is to order, with the constraints that its row may have."""
        constraints = document.row.get("constraints") if isinstance(document.row.get("constraints"), dict) else None
        return {"sentences": document.sentences, "constraints": constraints}

    def _reject(self, record: dict[str, Any]) -> None:
        from ..data.parsing import format_json

        assert self.rejects is not None
        self.rejects.write(format_json(record).encode("utf-8", "backslashreplace"))
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
    from ..data.formats import form_of

    for option, name in {"--input": read, **written}.items():
        if not name:
            sys.exit(f"{option} is empty. Name a file, or leave it out.")
        if Path(name).is_dir():
            sys.exit(f"{option} {name} is a folder. Name a file.")
    if read != "-" and not Path(read).exists():
        sys.exit(f"There is no file {read!r} to read.")
    try:
        if form == "auto":
            form_of(read)
    except ValueError as error:
        sys.exit(f"{error} What other files hold is said with `--format`.")
    for name in written.values():
        if read != "-" and Path(name).exists() and Path(read).samefile(name):
            sys.exit(f"{name} is the input, and would be overwritten. Write to another file.")
        if name != "-" and not Path(name).parent.is_dir():
            sys.exit(f"There is no folder {str(Path(name).parent)!r} to write {name} to.")
    if len({Path(name).resolve() for name in written.values()}) < len(written):
        sys.exit(f"{' and '.join(written)} name the same file. Write to two files.")


def _output_form(name: str) -> str | None:
    """Tell the form from the name of the output; None if it tells nothing."""
    from ..data.formats import form_of

    try:
        return form_of(name)
    except ValueError:
        return None


def _name(path: str, standard: str) -> str:
    return f"standard {standard}" if path == "-" else path
