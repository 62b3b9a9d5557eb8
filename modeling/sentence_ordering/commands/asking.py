"""What the programs share that ask an orderer about documents of a JSONL file: the way in and out."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..orderers import DEFAULT_ORDERER
from .arguments import parse_arguments
from .loading import load_orderer
from .order import check_files
from .order_arguments import PipelineArguments
from .printing import discard


@dataclass
class AskArguments:
    """What to ask about with what."""

    model: str = field(
        default=DEFAULT_ORDERER,
        metadata={
            "help": "Orderer that tells confidence: general or general-base, which come with the package, or a folder "
            "or Hub id."
        },
    )
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
    check_files(args.input, {"--output": args.output}, form="jsonl")

    from transformers.utils.logging import tqdm

    from ..data import read_documents
    from ..data.atomic import write_whole
    from ..data.parsing import format_json

    # Left to the pipeline, which reads canonically for these answers.
    chosen = vars(options) | {"canonical": options.canonical or None}
    rows: deque[dict[str, Any]] = deque()

    def read() -> Iterator[dict[str, Any]]:
        for document in read_documents(args.input, form="jsonl", allow_list=True):
            where = document.piece.where
            if document.sentences is None:
                raise ValueError(f'{where}: the object has no "sentences", only the keys {list(document.row)}.')
            row = document.gather("sentences")
            if taken := [key for key in added if key in row]:
                raise ValueError(f"{where}: has the keys {taken}, which the answer would overwrite. Rename them.")
            rows.append(row)
            yield row

    try:
        asked = load_orderer(args.model, answer=program, **chosen)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    try:
        with write_whole(args.output) as (output,), tqdm(desc="Asking", unit=" documents") as bar:
            for answer in asked(read(), progress=bar.update):
                line = format_json(rows.popleft() | answer)
                # What UTF-8 cannot hold is written as an escape, which JSON reads back as what it was.
                output.write(line.encode("utf-8", "backslashreplace"))
    except BrokenPipeError:  # The reader of the output, `head` for example, wants no more of it.
        discard(sys.stdout)
    except OSError as error:
        sys.exit(f"{error.filename or args.output}: {error.strerror or error}.")
    except (TypeError, ValueError) as error:
        sys.exit(str(error))
