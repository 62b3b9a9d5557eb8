"""Put the sentences of documents in order.

    sentence-ordering order --model output/quickstart --input shuffled.jsonl --output ordered.jsonl
    sentence-ordering order --model output/quickstart < shuffled.txt

Input is JSONL, each line an object with a list of strings under "sentences", or such a list itself; or it is text with
one sentence a line and a blank line between documents. Output is of the same form: text in reading order, or the JSON
objects with "sentences" in reading order and "order", "scores", "positions" and "confidence" added.
"""

from __future__ import annotations

import os
import re
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal, TextIO

from .arguments import parse_arguments

# What an answer adds to a JSON object.
ADDED = ("order", "scores", "positions", "confidence")


@dataclass
class OrderArguments:
    """What to order with what."""

    model: str = field(metadata={"help": "Saved orderer: a folder or a Hub id."})
    input: str = field(default="-", metadata={"help": "File of documents; - for standard input."})
    output: str = field(default="-", metadata={"help": "File to write; - for standard output."})
    format: Literal["auto", "jsonl", "text"] = field(
        default="auto", metadata={"help": "Form of the input; auto goes by the file's name or first character."}
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


def main(argv: list[str] | None = None) -> None:
    """Order documents from a file or standard input to a file or standard output.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    args, options = parse_arguments((OrderArguments, PipelineArguments), argv, "order", __doc__)
    _check_files(args)

    from transformers import pipeline

    from .. import auto  # noqa: F401  # registers the pipeline's task

    try:
        order: Any = pipeline("sentence-ordering", model=args.model, **vars(options))  # type: ignore[call-overload]
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    with ExitStack() as files:
        lines, output, rejects = (files.enter_context(file) for file in _open_files(args))
        try:
            failure, rejected = order_lines(order, args, options.overlong, lines, output, rejects)
        except BrokenPipeError:  # The reader of the output, `head` for example, wants no more of it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return
    if failure:
        sys.exit(failure)
    if rejected:
        print(f"{rejected} pieces of the input were no documents; see {args.rejects}.", file=sys.stderr)


def order_lines(
    order: Any, args: OrderArguments, overlong: str, lines: BufferedReader, output: TextIO, rejects: TextIO
) -> tuple[str, int]:
    """Order the documents of a file one after the other, as they are read.

    Args:
        order: The pipeline.
        args: Form of the input, and what to do with what is no document.
        overlong: What the pipeline does with documents that do not fit.
        lines: The file.
        output: Where to write the answers.
        rejects: Where to write what is no document, if it is to be skipped.

    Returns:
        Why the program stopped, if it did, and the number of pieces that were no documents.
    """
    from transformers.utils.logging import tqdm

    from ..data import read_documents
    from ..data.parsing import format_json
    from ..model.encoding import check_document, check_sentences

    rows: deque[dict[str, Any]] = deque()
    ordered = rejected = 0
    failure = ""
    jsonl = _is_jsonl(args, lines)

    def reject(record: dict[str, Any]) -> None:
        nonlocal rejected
        rejected += 1
        rejects.write(format_json(record))

    def documents() -> Iterator[list[str]]:
        nonlocal failure
        source = "standard input" if args.input == "-" else args.input
        check = partial(check_document, config=order.model.config) if overlong == "shorten" else check_sentences
        on_error = reject if args.on_error == "skip" else None
        try:
            for row in read_documents(lines, source, jsonl=jsonl, check=check, reserved=ADDED, on_error=on_error):
                rows.append(row)
                yield row["sentences"]
        except (TypeError, ValueError) as error:
            failure = str(error)  # Told when what came before it is ordered and written.

    for answer in tqdm(order(documents()), desc="Ordering", unit=" documents"):
        row = rows.popleft()
        ordered += 1
        output.write(format_json(row | answer) if jsonl else "\n".join(answer["sentences"]) + "\n\n")
    if failure:
        failure += f"\nOnly the {ordered} documents before it were ordered. `--on-error skip` sets it aside."
    return failure, rejected


def _check_files(args: OrderArguments) -> None:
    """End the process if the input is no file, or a file to write cannot be, or would overwrite another."""
    written = [args.output, args.rejects] if args.on_error == "skip" else [args.output]
    if args.input != "-" and not Path(args.input).is_file():
        sys.exit(f"There is no file {args.input!r} to order.")
    for name in written:
        if args.input != "-" and Path(name).exists() and Path(args.input).samefile(name):
            sys.exit(f"{name} is the input, and would be overwritten. Write to another file.")
        if name != "-" and not Path(name).parent.is_dir():
            sys.exit(f"There is no folder {str(Path(name).parent)!r} to write {name} to.")
    if len({Path(name).resolve() for name in written}) < len(written):
        sys.exit(f"{args.output} cannot take both what was ordered and what was not. Write to two files.")


def _open_files(args: OrderArguments) -> Iterator[Any]:
    """Open input, output and, if it may be needed, the file of rejects."""
    yield open(sys.stdin.fileno() if args.input == "-" else args.input, "rb", closefd=args.input != "-")
    # What UTF-8 cannot hold is written as an escape, which JSON reads back as what it was.
    write = partial(open, mode="w", encoding="utf-8", errors="backslashreplace")
    yield write(sys.stdout.fileno() if args.output == "-" else args.output, closefd=args.output != "-")
    yield write(args.rejects) if args.on_error == "skip" else nullcontext()


def _is_jsonl(args: OrderArguments, lines: BufferedReader) -> bool:
    """Find out the form of the input."""
    if args.format != "auto":
        return args.format == "jsonl"
    suffix = Path(args.input).suffix
    if suffix in (".jsonl", ".json", ".txt"):
        return suffix != ".txt"
    return re.match(rb'(\xef\xbb\xbf)?\s*(\{|\[\s*["\]])', lines.peek(1)) is not None
