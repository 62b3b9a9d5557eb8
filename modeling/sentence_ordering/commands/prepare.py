"""Make a corpus: read documents, cut books into windows, and split them so that no source stands in two splits.

    sentence-ordering prepare --input stories.csv --output_dir corpora/stories
    sentence-ordering prepare --input "books/*.txt" --books --language en --windows 5 20 --output_dir corpora/books

Writes train.jsonl, validation.jsonl and test.jsonl, a document a line, and prints how many documents each has.
Documents of one source (--group_column; the windows of one book in any case), and texts that are equal but for case,
spacing and punctuation, come into the same split. Documents of fewer than two sentences are left out and counted.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import partial
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import parse_arguments

if TYPE_CHECKING:
    from collections.abc import Callable

    from datasets import Dataset, DatasetDict

SPLITS = ("train", "validation", "test")


@dataclass
class PrepareArguments:
    """What to make a corpus from, and how to split it."""

    input: list[str] = field(
        metadata={
            "help": "JSON, JSONL, CSV, TSV, Parquet or text files, or globs; also with .gz. Or one embedded corpus, "
            "folder saved with save_to_disk, or Hub dataset id."
        }
    )
    output_dir: str = field(metadata={"help": "Folder for the splits."})
    sentences_column: str = field(
        default="sentences", metadata={"help": "Column with the lists of sentences; numbered columns are found."}
    )
    language: str | None = field(
        default=None,
        metadata={"help": "Split running text into sentences of this language (en, de, ...); else a line is one."},
    )
    books: bool = field(
        default=False, metadata={"help": "A text file is one document; without --language, of its paragraphs."}
    )
    windows: list[int] | None = field(
        default=None,
        metadata={"help": "Cut documents into windows of so many sentences, at least and at most (for example 5 20)."},
    )
    group_column: str | None = field(default=None, metadata={"help": "Column that names a document's source."})
    held_out: float = field(
        default=0.2, metadata={"help": "Share of the sources kept from training; from 1 on, their number."}
    )
    validation: float = field(
        default=0.5, metadata={"help": "Share (number) of those for validation; the others are for the test."}
    )
    split_by_row: bool = field(
        default=False, metadata={"help": "Split row by row with datasets' train_test_split, like published splits."}
    )
    seed: int = field(default=42, metadata={"help": "Seed of the windows and the split."})


def main(argv: list[str] | None = None) -> None:
    """Read documents, and write them as splits.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    (args,) = parse_arguments((PrepareArguments,), argv, "prepare", __doc__)
    from ..data.parsing import format_json

    folder = Path(args.output_dir)
    try:
        check_output(args)
        splits = make_splits(args)
        folder.mkdir(parents=True, exist_ok=True)
    except (ImportError, OSError, TypeError, ValueError) as error:
        sys.exit(str(error))
    for name, documents in splits.items():
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(map(format_json, documents))
        sentences = sum(map(len, documents[args.sentences_column]))
        print(f"{name:10} {len(documents):8} documents {sentences:9} sentences  {folder / name}.jsonl")


def check_output(args: PrepareArguments) -> None:
    """Refuse to overwrite the input."""
    written = [path for name in SPLITS if (path := Path(args.output_dir, f"{name}.jsonl")).exists()]
    read = [Path(found) for name in args.input for found in (name, *glob(name, recursive=True)) if Path(found).exists()]
    for path in written:
        if any(path.samefile(found) for found in read):
            raise ValueError(f"{path} is part of the input, and would be overwritten. Choose another `--output_dir`.")


def make_splits(args: PrepareArguments) -> DatasetDict:
    """Read the input, cut it into windows if that is asked for, and split it.

    Args:
        args: The program's arguments.

    Returns:
        The splits `train`, `validation` and `test`.
    """
    from ..data import cut_windows, split_by_group, split_by_row

    documents = read_input(args)
    group_column = args.group_column
    if args.windows is not None:
        if len(args.windows) != 2:
            raise ValueError(f"--windows takes the least and the greatest number of sentences, but got {args.windows}.")
        if args.split_by_row:
            raise ValueError("--split_by_row would put windows of one book into several splits. Leave it out.")
        documents = cut_windows(documents, *args.windows, sentences_column=args.sentences_column, seed=args.seed)
        group_column = group_column or "document"
    split: Callable[..., DatasetDict] = split_by_row
    if not args.split_by_row:
        split = partial(split_by_group, group_column=group_column, sentences_column=args.sentences_column)
    return split(documents, held_out=args.held_out, validation=args.validation, seed=args.seed)


def read_input(args: PrepareArguments) -> Dataset:
    """Read the input, all its splits together, and leave out documents of fewer than two sentences."""
    from datasets import concatenate_datasets

    from ..data import check_columns, load_documents

    source = args.input[0] if len(args.input) == 1 else args.input
    splits = load_documents(source, sentences_column=args.sentences_column, language=args.language, books=args.books)
    documents = concatenate_datasets(list(splits.values()))
    check_columns(documents.column_names, args.sentences_column)
    kept = documents.filter(lambda sentences: len(sentences) >= 2, input_columns=args.sentences_column)
    if len(kept) < len(documents):
        print(f"{len(documents) - len(kept)} of {len(documents)} documents have fewer than 2 sentences: left out.")
    return kept
