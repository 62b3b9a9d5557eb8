"""What the programs share that ask an orderer about documents of a JSONL file: the way in and out."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from .arguments import parse_arguments
from .order import PipelineArguments


@dataclass
class AskArguments:
    """What to ask about with what."""

    model: str = field(metadata={"help": "Saved orderer that was fitted a confidence: a folder or a Hub id."})
    input: str = field(default="-", metadata={"help": "JSONL file of documents; - for standard input."})
    output: str = field(default="-", metadata={"help": "JSONL file to write; - for standard output."})


def ask(program: str, added: tuple[str, ...], argv: list[str] | None, description: str | None) -> None:
    """Ask an orderer about each document of a file.

    Args:
        program: The program's name, which is also the pipeline's `answer`.
        added: Keys that the answer adds to the objects, which they must not have.
        argv: Command-line arguments; by default the process's.
        description: What the program does, for its help.
    """
    args, options = parse_arguments((AskArguments, PipelineArguments), argv, program, description)
    if args.input != "-" and not Path(args.input).is_file():
        sys.exit(f"There is no file {args.input!r} to read.")
    if args.output != "-" and not Path(args.output).parent.is_dir():
        sys.exit(f"There is no folder {str(Path(args.output).parent)!r} to write {args.output} to.")

    from transformers import pipeline
    from transformers.utils.logging import tqdm

    from .. import auto  # noqa: F401  # registers the pipeline's task
    from ..data import read_documents
    from ..data.parsing import format_json

    # Left to the pipeline, which reads canonically for these answers.
    chosen = vars(options) | {"canonical": options.canonical or None}
    rows: deque[dict[str, Any]] = deque()

    def read() -> Iterator[dict[str, Any]]:
        with open(sys.stdin.fileno() if args.input == "-" else args.input, "rb", closefd=args.input != "-") as lines:
            source = "standard input" if args.input == "-" else args.input
            for row in read_documents(lines, source, jsonl=True, reserved=added):
                rows.append(row)
                yield row

    try:
        asked: Any = pipeline("sentence-ordering", model=args.model, answer=program, **chosen)  # type: ignore[call-overload]
        with _write_whole(args.output) as output:
            for answer in tqdm(asked(read()), desc="Asking", unit=" documents"):
                output.write(format_json(rows.popleft() | answer))
    except BrokenPipeError:  # The reader of the output, `head` for example, wants no more of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, TypeError, ValueError) as error:
        sys.exit(str(error))


@contextmanager
def _write_whole(name: str) -> Iterator[TextIO]:
    """Open a file that is there whole or not at all, or standard output."""
    # What UTF-8 cannot hold is written as an escape, which JSON reads back as what it was.
    text: Any = {"mode": "w", "encoding": "utf-8", "errors": "backslashreplace"}
    if name == "-":
        with open(sys.stdout.fileno(), closefd=False, **text) as output:
            yield output
        return
    aside = Path(f"{name}.part")
    try:
        with aside.open(**text) as output:
            yield output
        aside.replace(name)
    finally:
        aside.unlink(missing_ok=True)
