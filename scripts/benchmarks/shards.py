"""Many files: documents/s of one and two processes, starting, a rerun after a crash, and memory. Real time, not CPU."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .materials import backbone_folder, cut_documents, save_orderer
from .measuring import Row, single, summarize

SCRIPT = Path(__file__).parents[1] / "order.py"
SENTENCES = 10
FILES = 10
# Seconds for which documents are counted, after all processes have begun.
WINDOW = 20.0
STARTS = 3
MILLION = 1_000_000
# Characters of a sentence of these, of which each is a token of the tiny orderer.
CHARACTERS = 12


def benchmark_shards(args: Namespace, encoder: str) -> list[Row]:
    """Measure processes side by side, the way to the first document, and what a crash costs."""
    with TemporaryDirectory() as work:
        save_orderer(encoder, f"{work}/orderer")
        documents = cut_documents(args, args.documents, SENTENCES, SENTENCES)
        # More of them than will be ordered in the time.
        write_files(f"{work}/many", documents, files=64, size=8 if args.smoke else 2048)
        write_files(f"{work}/few", documents, files=FILES, size=len(documents))
        write_files(f"{work}/one", documents[:1], files=1, size=1)
        window = 0.0 if args.smoke else WINDOW
        one, shared, two = (count_documents(work, n, threads, window) for n, threads in ((1, 1), (1, 2), (2, 1)))
        return [
            single("2 processes of 1 thread / 1 of 1", "documents/s", one, two, target=1.8),
            single("2 processes of 1 thread / 1 of 2", "documents/s", shared, two),
            time_start(work, 1 if args.smoke else STARTS),
            time_rerun(work),
        ]


def benchmark_shard_memory(args: Namespace, _: str) -> list[Row]:
    """Compare the peak memory of more documents with that of 10,000, and the time with that of plain `order`.

    The encoder is a tiny one: what grows with the number of documents is not the encoder's.
    """
    total = 400 if args.smoke else MILLION
    with TemporaryDirectory() as work, backbone_folder(None) as encoder:
        save_orderer(encoder, f"{work}/orderer")
        documents = [[sentence[:CHARACTERS] for sentence in row] for row in cut_documents(args, 64, most=5)]
        peaks, seconds = [], 0.0
        for files in (1, 10, 100):
            write_files(f"{work}/{files}", documents, files=files, size=total // 100)
            began = time.perf_counter()
            peaks.append(peak_megabytes(start(work, f"{files}/*", f"ordered-{files}", 2 if files == 100 else 1)))
            seconds = time.perf_counter() - began if files == 10 else seconds
        write_files(f"{work}/whole", documents, files=1, size=total // 10)
        began = time.perf_counter()
        start(work, "whole/000.jsonl").wait()
        alone = time.perf_counter() - began
        first, *others = peaks
        bound: dict[str, Any] = {"target": 1.05, "less_is_better": True}
        rows = [
            single(f"peak memory, {total // 100 * files:,} / {total // 100:,} documents", "MB", first, peak, **bound)
            for files, peak in zip((10, 100), others, strict=True)
        ]
        what = f"{total // 10:,} documents in 10 files / in one without --output_dir"
        return [*rows, single(what, "s", alone, seconds, target=1.1, less_is_better=True)]


def count_documents(work: str, processes: int, threads: int, window: float) -> float:
    """Order files with processes of so many threads each, and return documents/s from when all have begun."""
    from sentence_ordering.commands.order_arguments import OrderArguments, PipelineArguments
    from sentence_ordering.commands.shards import Job, find_shards, start_worker
    from sentence_ordering.commands.workers import spread

    folder = Path(work, f"counted-{processes}-{threads}")
    (folder / ".sentence-ordering").mkdir(parents=True)
    shards = find_shards(f"{work}/many/*", folder)
    os.environ["OMP_NUM_THREADS"] = str(threads * processes)
    job = Job(OrderArguments(model=f"{work}/orderer"), PipelineArguments(), {}, processes)
    told: list[tuple[float, int]] = []
    begun: set[Any] = set()

    class Enough(Exception):
        pass

    def note(shard: Any, count: int) -> None:
        begun.add(shard)
        if len(begun) >= processes:
            told.append((time.perf_counter(), count))
            # A file that begins or ends may tell of no document.
            if told[-1][0] - told[0][0] > window and any(count for _, count in told[1:]):
                raise Enough

    try:
        for _, result in spread(partial(start_worker, job), shards, processes, note):
            if isinstance(result, (str, Exception)):
                sys.exit(str(result))
    except Enough:
        pass
    return sum(count for _, count in told[1:]) / (told[-1][0] - told[0][0])


def time_start(work: str, rounds: int) -> Row:
    """Time the program on one document with and without the folder."""
    import numpy as np

    seconds = np.empty((rounds, 2))
    for number in range(rounds):
        for column, folder in enumerate((None, f"one-{number}")):
            began = time.perf_counter()
            start(work, "one/000.jsonl", folder).wait()
            seconds[number, column] = time.perf_counter() - began
    return summarize("one document with / without --output_dir", "s", seconds, None, less_is_better=True)


def time_rerun(work: str) -> Row:
    """Kill the program when nine of ten files are ordered, and time the rerun beside an undisturbed run."""
    began = time.perf_counter()
    start(work, "few/*", "undisturbed").wait()
    undisturbed = time.perf_counter() - began
    program = start(work, "few/*", "killed")
    while program.poll() is None and len(list(Path(work, "killed").glob("*.jsonl"))) < FILES - 1:
        time.sleep(0.01)
    if program.poll() is not None:
        sys.exit("The program ended before it could be killed. Raise --documents.")
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    began = time.perf_counter()
    start(work, "few/*", "killed").wait()
    rerun = time.perf_counter() - began
    return single("rerun after a crash at 90 % / undisturbed", "s", undisturbed, rerun, less_is_better=True)


def write_files(folder: str, documents: list[list[str]], *, files: int, size: int) -> None:
    """Write JSONL files of `size` documents each, which are repeated as needed."""
    Path(folder).mkdir()
    lines = [json.dumps(document) + "\n" for document in documents]
    for number in range(files):
        Path(folder, f"{number:03}.jsonl").write_text("".join(islice(cycle(lines), size)), encoding="utf-8")


def start(work: str, pattern: str, folder: str | None = None, processes: int = 1) -> subprocess.Popen[bytes]:
    """Start the program in a process group of its own."""
    many = ["--output_dir", f"{work}/{folder}", "--num_processes", str(processes)]
    output = ["--output", f"{work}/ordered.jsonl"] if folder is None else many
    command = [sys.executable, str(SCRIPT), "--model", f"{work}/orderer", "--input", f"{work}/{pattern}", *output]
    # By default glibc keeps freed memory, in more and more pieces as sizes vary; only what is in use is asked for here.
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_ARENA_MAX": "1"}
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, process_group=0, env=environment)


def peak_megabytes(program: subprocess.Popen[bytes]) -> float:
    """Return the most memory that any one process of a program held (Linux only)."""
    peak = 0.0
    while program.poll() is None:
        children = read_process(program.pid, f"task/{program.pid}/children").split()
        for pid in (program.pid, *map(int, children)):
            marks = [line.split()[1] for line in read_process(pid, "status").splitlines() if line.startswith("VmHWM:")]
            peak = max([peak, *(int(mark) / 1000 for mark in marks)])
        time.sleep(0.05)
    if program.returncode != 0:
        sys.exit(f"The program ended with status {program.returncode}.")
    return peak


def read_process(pid: int, name: str) -> str:
    """Read what the system tells about a process; nothing if it has ended."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""
