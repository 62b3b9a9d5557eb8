"""Make a corpus: read documents, cut books into windows, and split them so that no source stands in two splits.

    sentence-ordering prepare --input stories.csv --output_dir corpora/stories
    sentence-ordering prepare --input "books/*.txt" --books --language en --windows 5 20 --output_dir corpora/books

Writes train.jsonl, validation.jsonl and test.jsonl, a document a line, and prints how many documents each has.
Documents of one source (--group_column; the windows of one document in any case), and documents that are equal but for
case, spacing and punctuation, come into the same split. Documents of fewer than two sentences (or than the shortest
window) are left out and counted. Columns other than the sentences stay as they are.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from glob import glob
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import parse_arguments

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    from ..data.atomic import write_whole
    from ..data.parsing import encode, format_json
    from .printing import print_text

    paths = [Path(args.output_dir, f"{name}.jsonl") for name in SPLITS]
    report = []
    try:
        check_options(args)
        documents, note = read_input(args)
        report += [note] if note else []
        splits = make_splits(documents, args)
        Path(args.output_dir).mkdir(parents=True, exist_ok=True)
        with write_whole(*paths) as files:
            for name, path, file in zip(SPLITS, paths, files, strict=True):
                sentences = sum(map(len, splits[name]["sentences"]))
                report.append(f"{name:10} {len(splits[name]):8} documents {sentences:9} sentences  {path}")
                file.writelines(encode(format_json(restore_row(row, args))) for row in splits[name])
    except (ImportError, OSError, TypeError, ValueError) as error:
        sys.exit(str(error))
    print_text("".join(f"{line}\n" for line in report))


def check_options(args: PrepareArguments) -> None:
    """Refuse options that cannot be, and to overwrite the input."""
    from ..data.cutting import check_window_sizes
    from ..data.splitting import check_size

    if not args.output_dir:
        raise ValueError("--output_dir is empty. Name a folder for the splits.")
    for name in ("held_out", "validation"):
        check_size(f"--{name}", getattr(args, name))
    if not 0 <= args.seed < 2**32:
        raise ValueError(f"--seed must be {'at least 0' if args.seed < 0 else 'below 2**32'}, but is {args.seed}.")
    if args.split_by_row and args.group_column is not None:
        raise ValueError(
            f"--split_by_row would put rows of one {args.group_column!r} into several splits. Leave it or "
            "--group_column out."
        )
    if args.windows is not None:
        if len(args.windows) != 2:
            raise ValueError(f"--windows takes the least and the greatest number of sentences, but got {args.windows}.")
        check_window_sizes(*args.windows)
        if args.split_by_row:
            raise ValueError("--split_by_row would put windows of one book into several splits. Leave it out.")
    written = [path for name in SPLITS if (path := Path(args.output_dir, f"{name}.jsonl")).exists()]
    read = [Path(found) for name in args.input for found in (name, *glob(name, recursive=True)) if Path(found).exists()]
    for path in written:
        if any(path.samefile(found) for found in read):
            raise ValueError(f"{path} is part of the input, and would be overwritten. Choose another `--output_dir`.")


def read_input(args: PrepareArguments) -> tuple[Dataset, str]:
    """Read the input, all its splits together.

    Args:
        args: The program's arguments.

    Returns:
        The documents that are long enough, as `sentences`, `number` in the input, `source` and `row`: the last two are
        JSON, so that whatever stands in the other columns comes out as it went in. And what to tell of documents that
        are too short.
    """
    from ..data import check_columns
    from ..data.loading import collect_rows, read_rows
    from ..data.parsing import as_text
    from ..data.splitting import source_key
    from ..model.encoding import check_sentences

    source = args.input[0] if len(args.input) == 1 else args.input
    options: dict[str, Any] = {"sentences_column": args.sentences_column}
    rows = read_rows(source, **options, language=args.language, books=args.books)
    least = args.windows[0] if args.windows else 2
    columns: dict[str, None] = {}
    count = 0

    def pack() -> Iterator[tuple[str, dict[str, Any]]]:
        nonlocal count
        for where, row in rows:
            check_columns(list(row), args.sentences_column)
            columns.update(dict.fromkeys(row))
            sentences = row[args.sentences_column]
            check_sentences(sentences, where)
            if len(sentences) >= least:
                others = json.dumps(row | {args.sentences_column: None}, default=as_text)
                group = None if args.group_column is None else source_key(row.get(args.group_column))
                yield where, {"sentences": sentences, "number": count, "source": group, "row": others}
            count += 1

    packed = pack()
    first = next(packed, None)
    if first is None:
        raise ValueError(f"None of {count} documents has {least} sentences or more.")
    documents = collect_rows(chain([first], packed))
    check_columns(list(columns), args.group_column)
    if args.windows and "document" in columns:
        raise ValueError(
            "There is a column 'document' already, which the number of the row would overwrite. Rename it."
        )
    left_out = count - len(documents)
    note = f"{left_out} of {count} documents have fewer than {least} sentences: left out." if left_out else ""
    return documents, note


def make_splits(documents: Dataset, args: PrepareArguments) -> DatasetDict:
    """Split documents, and cut them into windows if that is asked for.

    Args:
        documents: What `read_input` returned.
        args: The program's arguments.

    Returns:
        The splits `train`, `validation` and `test`.
    """
    from ..data import cut_windows, split_by_group, split_by_row

    sizes: dict[str, Any] = {"held_out": args.held_out, "validation": args.validation, "seed": args.seed}
    if args.split_by_row:
        return split_by_row(documents, **sizes)
    splits = split_by_group(documents, None if args.group_column is None else "source", **sizes)
    if args.windows is not None:
        # Cut only now: windows of a book that is there twice begin at other places each time, and are no duplicates.
        for name, rows in splits.items():
            splits[name] = cut_windows(rows, *args.windows, seed=args.seed)
    return splits


def restore_row(row: dict[str, Any], args: PrepareArguments) -> dict[str, Any]:
    """Put the columns of the input together again, with the sentences of a document or window."""
    restored = json.loads(row["row"]) | {args.sentences_column: row["sentences"]}
    return restored | {"document": row["number"]} if args.windows is not None else restored
