"""What the programs `order`, `score` and `insert` share: ask an orderer about the documents of one file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from ..orderers import describe_orderer, locate_orderer
from .answering import Run
from .loading import explain, load_orderer
from .order_arguments import OrderArguments, PipelineArguments

# Endings that promise what is not written: other packings than gzip, and spreadsheets. Any other name may be a text's.
UNWRITABLE = (".bz2", ".xz", ".zst", ".zip", ".xls", ".xlsx", ".ods")


def ask(args: OrderArguments, options: PipelineArguments, answer: str) -> None:
    """Ask an orderer about each document of a file or standard input.

    Args:
        args: The orderer, the files, and what to do with what is no document.
        options: How the pipeline is to answer.
        answer: What is asked, which is the program's name, too.
    """
    rejects = {"--rejects": args.rejects} if args.on_error == "skip" else {}
    check_files(args.input, {"--output": args.output} | rejects, args.format)
    form = _output_form(args.output)
    if form == "text" and answer == "score":
        sys.exit(f"{args.output}: text has no room for what `score` tells. Name a file that ends in .jsonl.")
    tell_orderer(args.model)

    from transformers.utils.logging import tqdm

    from ..data.atomic import write_whole

    try:
        pipeline = load_orderer(args.model, **pipeline_options(options, answer))
    except (OSError, ValueError) as error:
        sys.exit(explain(args.model, error))
    try:
        with write_whole(args.output, *rejects.values()) as files:
            run = Run(pipeline, args, options.overlong, *files, answer=answer, form=form)
            with tqdm(desc="Ordering", unit=" documents") as bar:
                run.answer_all(bar.update)
            if run.failure and not run.answered:
                sys.exit(f"{run.failure}{run.advice}")
    except OSError as error:
        output = "standard output" if args.output == "-" else args.output
        sys.exit(f"Cannot write {error.filename or output}: {error.strerror}.")
    if run.failure:
        before = "document before it was" if run.answered == 1 else f"{run.answered} documents before it were"
        sys.exit(f"{run.failure}\nOnly the {before} answered.{run.advice}")
    if run.rejected:
        print(f"{run.rejected} pieces of the input were no documents; see {args.rejects}.", file=sys.stderr)


def pipeline_options(options: PipelineArguments, answer: str) -> dict[str, Any]:
    """Return the options of the pipeline; how it reads for other answers than an order is left to it, if not asked."""
    canonical = options.canonical if answer == "order" else options.canonical or None
    return vars(options) | {"answer": answer, "canonical": canonical}


def tell_orderer(model: str) -> None:
    """Say which orderer is used, if it comes with the package."""
    if locate_orderer(model) != model:
        print(f"Ordering with {describe_orderer(model)}.", file=sys.stderr)


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
        if "\0" in name:
            sys.exit(f"{option} {name!r} is no name of a file. Leave the NUL character out.")
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
    """Tell the form from the name of the output; None if it tells nothing. End the process if it promises another."""
    from ..data.files import form_of

    try:
        return form_of(name)
    except ValueError as error:
        if name.lower().endswith(UNWRITABLE):
            sys.exit(f"--output {error}")
        return None
