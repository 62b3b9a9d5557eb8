"""Put the sentences of documents in order.

    sentence-ordering order --model output/quickstart --input shuffled.jsonl --output ordered.jsonl
    sentence-ordering order --model output/quickstart < shuffled.txt

Input is one of the forms that `prepare` reads, from a file, a pipe or standard input, also with .gz: JSON, JSONL, CSV,
TSV, Parquet, or text with one sentence a line and a blank line between documents. In JSON a document is an object with
a list of strings under "sentences", or such a list itself; in tables a row. Output is of the same form, or of the one
that the name of --output says: text in reading order, or the objects and rows with "sentences" in reading order and
"order", "scores", "positions" and "confidence" added. An object may say under "constraints" what its order has to keep
(docs/answers.md), a row of a table likewise, as JSON. Numbered columns of a table (sentence1, ...) are kept.

With --output_dir, --input may be a glob in quotes. Every file that it matches, a shard, gets one of the same name in
that folder; --num_processes orders several at once. The same command, run again after a crash, orders what is missing:

    sentence-ordering order --input 'shards/*.parquet' --output_dir ordered --num_processes 4 --on_error skip

A file is written aside and renamed when it is whole. Answers come many at a time, because documents of similar length
share a batch: where a program writes documents into a pipe and waits for the answer to each, say `--batch_size 1`.
"""

from __future__ import annotations

from .arguments import parse_arguments
from .asking import ask
from .order_arguments import OrderArguments, PipelineArguments, ShardArguments


def main(argv: list[str] | None = None) -> None:
    """Order documents from a file or standard input to a file or standard output, or from many files to a folder.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    args, many, options = parse_arguments((OrderArguments, ShardArguments, PipelineArguments), argv, "order", __doc__)
    if many.output_dir is None:
        ask(args, options, "order")
    else:
        from .shards import order_shards

        order_shards(args, many, options)
