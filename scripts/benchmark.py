"""Measure how fast it is, beside the least that it could cost or what others do.

    python scripts/benchmark.py all --threads 1 --bf16
    python scripts/benchmark.py training grouping --threads 1

The two sides of a comparison take turns in one process (A, B, A, B, ...) on the same documents, so that both feel it
when the machine slows down. The ratios are the result; documents/s mean nothing beyond the machine. With one thread,
CPU time is measured, which stands still while another program has the processor.

    training  five-sentence stories beside the tutorial's way (github.com/LennartKeller/trf_training_tut: rows padded to
              512 tokens, a loop over the documents in the loss), and a step beside the bare encoder's
    grouping  mixed lengths in batches of similar length beside random batches: speed, and the loss of both
    padding   real tokens of all tokens over an epoch of mixed lengths
    memory    peak memory of a training step beside the bare encoder's
    inference pipeline and program `order` beside the encoder alone on sorted batches
    shards    many files with `order --output_dir`: documents/s of 1 and 2 processes, starting, a rerun after a crash
    million   peak memory of that for 100,000 and 1,000,000 documents beside 10,000, and time beside plain `order`
    corpus    10,000,000 training rows: memory a row, and the time to the first batch
    file      peak memory of `order` on a file of 10,000 documents beside one of 1,000
    latency   one document of five sentences with the pipeline beside the encoder alone: p50 and p95
    long      a document of 1,000 sentences, its windows in batches beside one by one
    answer    first answer of a fresh `order`, and loading the general orderer beside a whole one
    pairwise  ordering beside a classifier that reads all pairs of sentences
    encoding  encoding beside the tokenizer on plain strings
    attention ordering and training steps beside the bare encoder's, in tokens/s, with eager, fused, compiled and, if it
              is installed, flash attention
    metrics   metrics of 10,000 documents beside a loop over SciPy
    startup   imports, and the programs' help

Part of what full rows cost on a CPU is memory: glibc maps buffers above 32 MB anew at every use. To compare computation
alone, let it keep them: `MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 python scripts/benchmark.py ...`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from contextlib import nullcontext
from cProfile import Profile
from dataclasses import asdict
from pathlib import Path
from pstats import Stats

from benchmarks.attention import benchmark_attention
from benchmarks.corpus import benchmark_corpus
from benchmarks.evaluation import benchmark_metrics
from benchmarks.inference import benchmark_encoding, benchmark_inference, benchmark_order_memory, benchmark_pairwise
from benchmarks.latency import benchmark_first_answer, benchmark_latency, benchmark_long
from benchmarks.materials import backbone_folder
from benchmarks.measuring import Row, format_header, format_row
from benchmarks.shards import benchmark_shard_memory, benchmark_shards
from benchmarks.startup import benchmark_startup
from benchmarks.training import benchmark_grouping, benchmark_memory, benchmark_padding, benchmark_training

from sentence_ordering.commands.train_arguments import MINILM

PROFILED_FUNCTIONS = 30
BENCHMARKS: dict[str, Callable[[argparse.Namespace, str], list[Row]]] = {
    "training": benchmark_training,
    "grouping": benchmark_grouping,
    "padding": benchmark_padding,
    "memory": benchmark_memory,
    "inference": benchmark_inference,
    "shards": benchmark_shards,
    "million": benchmark_shard_memory,
    "corpus": benchmark_corpus,
    "file": benchmark_order_memory,
    "latency": benchmark_latency,
    "long": benchmark_long,
    "answer": benchmark_first_answer,
    "pairwise": benchmark_pairwise,
    "encoding": benchmark_encoding,
    "attention": benchmark_attention,
    "metrics": benchmark_metrics,
    "startup": benchmark_startup,
}


def main(argv: list[str] | None = None) -> None:
    """Run benchmarks, and print their figures.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "benchmarks", nargs="+", choices=[*BENCHMARKS, "all"], metavar="BENCHMARK", help="which, or all"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count, after one that does not (5)")
    parser.add_argument("--batch_size", type=int, default=16, help="documents of a training batch (16)")
    parser.add_argument("--documents", type=int, default=64, help="documents of a round (64)")
    parser.add_argument("--file", help="your documents, instead of the embedded corpus")
    parser.add_argument("--model", default=MINILM, help="the encoder, a folder or Hub id (%(default)s)")
    parser.add_argument("--device", default="cpu", help="device of `attention`, such as cuda (cpu)")
    parser.add_argument("--bf16", action="store_true", help="train under bfloat16 autocast (`training` measures both)")
    parser.add_argument("--threads", type=int, help="threads of torch; by default its own choice")
    parser.add_argument("--smoke", action="store_true", help="see that it runs; sizes are tiny, figures say nothing")
    parser.add_argument("--profile", action="store_true", help="print the functions that took the most time, too")
    parser.add_argument("--json", metavar="FILE", help="write the figures to a file, too")
    args = parser.parse_args(argv)
    if min(args.rounds, args.batch_size) < 1:
        parser.error("--rounds and --batch_size must be at least 1")
    if args.smoke:
        args.rounds, args.batch_size, args.documents = 1, 2, 4

    import torch
    from datasets import disable_progress_bars
    from transformers.utils import logging

    logging.set_verbosity_error()  # It would only tell that the heads of all the models are new.
    logging.disable_progress_bar()
    disable_progress_bars()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    names = list(BENCHMARKS) if "all" in args.benchmarks else args.benchmarks
    settings = {name: getattr(args, name) for name in ("rounds", "batch_size", "documents")}
    about = settings | {"threads": torch.get_num_threads(), "torch": torch.__version__}
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(format_header())
    rows: list[Row] = []
    profiler = Profile()
    with backbone_folder(None if args.smoke else args.model) as folder, profiler if args.profile else nullcontext():
        for name in names:
            measured = BENCHMARKS[name](args, folder)
            print("\n".join(map(format_row, measured)), flush=True)
            rows += measured
    if args.profile:
        Stats(profiler).sort_stats("tottime").print_stats(PROFILED_FUNCTIONS)
    if args.json is not None:
        report = json.dumps(about | {"rows": [asdict(row) for row in rows]}, indent=2)
        Path(args.json).write_text(report + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
