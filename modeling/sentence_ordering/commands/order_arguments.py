"""The options of `order`, `score` and `insert`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from ..orderers import DEFAULT_ORDERER


@dataclass
class OrderArguments:
    """What to ask about with what."""

    model: str = field(
        default=DEFAULT_ORDERER,
        metadata={"help": "Orderer: general or general-base, which come with the package, or a folder or a Hub id."},
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
class ShardArguments:
    """How to order many files."""

    output_dir: str | None = field(
        default=None, metadata={"help": "Folder for an output file per input file, where --input is a glob, in quotes."}
    )
    num_processes: int = field(
        default=1, metadata={"help": "Number of files that are ordered at once, each on a GPU of its own if there are."}
    )
    shard: str | None = field(
        default=None,
        metadata={"help": "Order only part i of n of the files, i from 0 to n - 1, written i/n; for arrays of jobs."},
    )

    def __post_init__(self) -> None:
        if self.num_processes < 1:
            raise ValueError(f"`--num_processes` must be at least 1, but is {self.num_processes}.")
        if self.output_dir == "":
            raise ValueError("--output_dir is empty. Name a folder, or leave it out.")
        if self.output_dir is None and (self.num_processes > 1 or self.shard is not None):
            raise ValueError("`--num_processes` and `--shard` are for many files. Name a folder with `--output_dir`.")
        part, parts = self.part
        if not 0 <= part < parts:
            raise ValueError(f"`--shard {self.shard}`: expected i/n with i from 0 to n - 1, like 0/8, ..., 7/8.")

    @property
    def part(self) -> tuple[int, int]:
        """The number of the part to order and the number of parts; (-1, 0) for what is no i/n."""
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", "0/1" if self.shard is None else self.shard, re.ASCII)
        return (int(match[1]), int(match[2])) if match else (-1, 0)


@dataclass
class PipelineArguments:
    """How the pipeline is to answer."""

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
