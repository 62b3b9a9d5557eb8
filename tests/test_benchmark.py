import json
import multiprocessing
import sys

import benchmark
import datasets
import pytest
from benchmarks import corpus, shards
from transformers.utils import logging

from sentence_ordering.commands import workers

ROWS = {
    "training": [
        "training / the tutorial's way, float32",
        "training step / bare encoder, float32",
        "training / the tutorial's way, bfloat16 autocast",
        "training step / bare encoder, bfloat16 autocast",
    ],
    "grouping": [
        "training, mixed lengths, grouped / random batches",
        "loss on held-out documents after epoch 0",
        "loss on held-out documents after epoch 1",
    ],
    "padding": ["real tokens / padded, random batches of 2", "real tokens / padded, grouped batches of 2"],
    "memory": ["peak memory of a step / bare encoder"],
    "inference": ["pipeline / bare encoder on sorted batches", "program order / bare encoder on sorted batches"],
    "latency": [f"one document of 5 sentences, p{percent} / bare encoder" for percent in (50, 95)],
    "long": ["document of 60 sentences / window by window"],
    "pairwise": [f"ordering {n} sentences / scoring all pairs" for n in (5, 10, 20)],
    "encoding": ["encoding / tokenizer on plain strings"],
    "attention": [
        f"{what} / bare encoder, {attention}"
        for attention in ("eager", "sdpa")
        for what in ("ordering", "training steps")
    ],
    "metrics": ["metrics of 50 documents / a loop over SciPy"],
}
PROGRAMS = ("order", "publish", "benchmark", "train", "evaluate")
ROWS_OF_PROCESSES = {
    "shards": [
        "2 processes of 1 thread / 1 of 1",
        "2 processes of 1 thread / 1 of 2",
        "one document with / without --output_dir",
        "rerun after a crash at 90 % / undisturbed",
    ],
    "million": [
        "peak memory, 40 / 4 documents",
        "peak memory, 400 / 4 documents",
        "40 documents in 10 files / in one without --output_dir",
    ],
    "corpus": [
        *(
            f"50,000 rows, {way}: {what} / limit"
            for way in ("plain", "grouped")
            for what in ("memory that stays", "peak memory", "to the first batch")
        ),
        "prepare_dataset, 2,000 rows: peak memory / limit",
        "prepare_dataset, 2,000 rows: cached / encoding",
    ],
    "file": ["peak memory of order, 40 / 20 documents"],
    "answer": ["first answer of order / loading the encoder"],
    "startup": [
        "import of the package / of transformers",
        *(f"help of {program} / what it may take" for program in PROGRAMS),
    ],
}


OPTIONS = ["--smoke", "--bf16", "--threads", "1", "--json"]


def read_rows(path, table):
    """Read the rows that were written, which the table shows, too."""
    rows = json.loads(path.read_text())["rows"]
    assert all(row["what"] in table for row in rows)
    for row in rows:
        low, high = row["quartiles"]
        assert 0 < low <= row["ratio"] <= high
    return rows


@pytest.fixture
def loud():
    """Lets the benchmarks silence libraries for themselves alone."""
    verbosity = logging.get_verbosity()
    yield
    logging.set_verbosity(verbosity)
    logging.enable_progress_bar()
    datasets.enable_progress_bars()


def test_benchmarks_measure_all_their_rows(loud, tmp_path, capsys):
    figures = tmp_path / "figures.json"
    benchmark.main([*ROWS, *OPTIONS, str(figures)])
    rows = read_rows(figures, capsys.readouterr().out)
    assert [row["what"] for row in rows] == [what for names in ROWS.values() for what in names]
    grouped, random = (
        next(row for row in rows if f"{kind} batches of 2" in row["what"]) for kind in ("grouped", "random")
    )
    assert grouped["ours"] == random["ours"], "both count the same documents"
    before = next(row for row in rows if row["what"].endswith("after epoch 0"))
    assert before["ours"] == before["reference"], "both sides start with the same weights"


@pytest.fixture
def forked(python, monkeypatch, tmp_path):
    """Lets processes be forks, because that takes no time."""
    script = tmp_path / "order.py"
    script.write_text(
        "import sys\n"
        "from sentence_ordering.commands import main, workers\n"
        "workers.START_METHOD = 'fork'\n"
        "main(['order', *sys.argv[1:]])\n"
    )
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setattr(shards, "SCRIPT", script)
    monkeypatch.setattr(workers, "START_METHOD", "fork")
    monkeypatch.setattr(corpus, "get_context", lambda _: multiprocessing.get_context("fork"))


@pytest.mark.slow
def test_benchmarks_of_processes_measure_all_their_rows(loud, forked, tmp_path, capsys):
    figures = tmp_path / "figures.json"
    benchmark.main([*ROWS_OF_PROCESSES, *OPTIONS, str(figures)])
    rows = read_rows(figures, capsys.readouterr().out)
    assert [row["what"] for row in rows] == [what for names in ROWS_OF_PROCESSES.values() for what in names]
