"""Training data of any size: memory a row, and the way to the first batch, each in a fresh process (Linux)."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .materials import backbone_folder, save_orderer
from .measuring import Row, single

ROWS = 10_000_000
# Encoding takes time for each of them, and memory a row is the same for fewer.
ENCODED_ROWS = 1_000_000
ROWS_OF_FILE_BATCH = 10_000
BATCH_SIZE = 16
# What a row may take, in bytes: that stay, and at most while an epoch begins or documents are encoded.
PLAIN, GROUPED, ENCODING = (9, 9), (13, 42), 16
SECONDS = 5.0
# What is less, in bytes a row or seconds, is not told from what a process takes more or less by chance.
LEAST = 0.01


@dataclass
class Cost:
    """What a function took: bytes of memory that stay, bytes at its peak, and seconds of CPU time."""

    held: float
    peak: float
    seconds: float


def benchmark_corpus(args: Namespace, _: str) -> list[Row]:
    """Measure an epoch's beginning over memory-mapped rows, and encoding documents to such."""
    count, encoded = (50_000, 2_000) if args.smoke else (ROWS, ENCODED_ROWS)
    rows = []
    with TemporaryDirectory() as work, backbone_folder(None) as encoder:
        save_orderer(encoder, f"{work}/orderer")
        write_rows(f"{work}/rows.arrow", count)
        for way, batch_size, limits in (("plain", None, PLAIN), ("grouped", BATCH_SIZE, GROUPED)):
            cost = measure(begin_epoch, f"{work}/rows.arrow", f"{work}/orderer", batch_size)
            what = f"{count:,} rows, {way}"
            rows.append(within(f"{what}: memory that stays / limit", "bytes/row", limits[0], cost.held / count))
            rows.append(within(f"{what}: peak memory / limit", "bytes/row", limits[1], cost.peak / count))
            rows.append(within(f"{what}: to the first batch / limit", "s", SECONDS, cost.seconds))
        costs = []
        for size in (encoded // 10, encoded):
            Path(work, str(size)).mkdir()
            write_documents(f"{work}/{size}/documents.arrow", size)
            costs.append(measure(encode, f"{work}/{size}/documents.arrow", f"{work}/orderer", None))
        again = measure(encode, f"{work}/{encoded}/documents.arrow", f"{work}/orderer", None)
    grown = (costs[1].peak - costs[0].peak) / (encoded - encoded // 10)
    what = f"prepare_dataset, {encoded:,} rows"
    rows.append(within(f"{what}: peak memory / limit", "bytes/row", ENCODING, grown))
    cached = max(LEAST, again.seconds)
    rows.append(single(f"{what}: cached / encoding", "s", costs[1].seconds, cached, less_is_better=True))
    return rows


def within(what: str, unit: str, limit: float, measured: float) -> Row:
    """Make a row of a figure and its limit."""
    return single(what, unit, limit, max(LEAST, measured), target=1, less_is_better=True)


def begin_epoch(rows: Any, orderer: str, batch_size: int | None) -> Any:
    """Shuffle rows, and read the first batch."""
    from transformers import AutoConfig

    from sentence_ordering import ShuffledDocuments

    shuffled = ShuffledDocuments(rows, AutoConfig.from_pretrained(orderer), group_by_length_of=batch_size)
    shuffled.__getitems__(list(range(BATCH_SIZE)))
    return shuffled


def encode(documents: Any, orderer: str, _: int | None) -> Any:
    """Encode documents, or find them encoded in the cache beside their file."""
    from transformers import AutoConfig, AutoTokenizer

    from sentence_ordering import prepare_dataset

    return prepare_dataset(documents, AutoTokenizer.from_pretrained(orderer), AutoConfig.from_pretrained(orderer))


def measure(function: Callable[[Any, str, int | None], Any], path: str, orderer: str, batch_size: int | None) -> Cost:
    """Run a function on memory-mapped rows in a fresh process, and watch that process's own memory."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=run, args=(there, function, path, orderer, batch_size))
    process.start()
    there.close()
    here.recv()
    assert process.pid is not None
    before = peak = own_bytes(process.pid)
    here.send("begin")
    while not here.poll(0.01):
        peak = max(peak, own_bytes(process.pid))
    seconds = here.recv()
    held = own_bytes(process.pid)
    here.send("end")
    process.join()
    return Cost(held - before, max(peak, held) - before, seconds)


def run(there: Connection, function: Callable[..., Any], path: str, orderer: str, batch_size: int | None) -> None:
    """Run a function as the other process of `measure`."""
    import pyarrow as pa
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    rows = Dataset.from_file(path)
    function(rows.select(range(BATCH_SIZE)), orderer, batch_size)  # What imports and warming up take is no row's.
    there.send("ready")
    there.recv()
    began = time.process_time()
    kept = function(rows, orderer, batch_size)
    seconds = time.process_time() - began
    pa.default_memory_pool().release_unused()
    there.send(seconds)
    there.recv()
    del kept


def own_bytes(pid: int) -> int:
    """Return the memory of a process that no file backs."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("RssAnon:")]
    return int(line.split()[1]) * 1024


def write_rows(path: str, count: int) -> None:
    """Write rows of two to five sentences of three tokens, as `prepare_dataset` makes them."""
    import numpy as np
    import pyarrow as pa

    numbers = np.random.default_rng(0).integers(2, 6, ROWS_OF_FILE_BATCH)
    input_ids = [[2, 7, 8, 9] * number for number in numbers.tolist()]
    labels = [list(range(number)) for number in numbers.tolist()]
    types = {"input_ids": pa.list_(pa.int32()), "labels": pa.list_(pa.int64())}
    write_batches(path, pa.record_batch([input_ids, labels], pa.schema(types)), count)


def write_documents(path: str, count: int) -> None:
    """Write documents of two short sentences."""
    import pyarrow as pa

    sentences = [[["Tom ran.", f"He saw {number} men."] for number in range(ROWS_OF_FILE_BATCH)]]
    batch = pa.record_batch(sentences, pa.schema({"sentences": pa.list_(pa.string())}))
    write_batches(path, batch, count)


def write_batches(path: str, batch: Any, count: int) -> None:
    """Write a batch again and again, up to a number of rows, as `datasets` keeps them."""
    import pyarrow as pa

    with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, batch.schema) as writer:
        for start in range(0, count, len(batch)):
            writer.write_batch(batch.slice(0, min(len(batch), count - start)))
