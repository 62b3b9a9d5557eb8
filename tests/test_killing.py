"""Programs that are killed at any moment: nothing half-written is taken for whole, and a rerun ends as if undisturbed.

`KILLS=20 pytest tests/test_killing.py` kills each program that many times.
"""

import hashlib
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from safetensors import SafetensorError
from safetensors.numpy import load_file

from sentence_ordering import AutoModelForSentenceOrdering, commands
from sentence_ordering.commands.train_arguments import read_state

KILLS = int(os.environ.get("KILLS", "2"))
CHECKPOINTS = 3
# Forks of a process that has imported everything, so that a kill meets a program at work and not an import.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["sentence_ordering.training.trainer", "sentence_ordering.auto", "sentence_ordering.evaluation.page"]
)
OPTIONS = {
    "prepare": "--input corpus.jsonl --windows 2 4 --output_dir out",
    "order": "--model orderer --input corpus.jsonl --output out/ordered.jsonl",
    "evaluate": "--model orderer --file corpus.jsonl --input_orders 2 --output_dir out",
    "train": "--model encoder --train_file corpus.jsonl --validation_file held-out.jsonl --output_dir out "
    f"--max_steps 8 --save_steps 2 --save_total_limit {CHECKPOINTS} --logging_steps 1 --report_to none --use_cpu "
    "--disable_tqdm true",
}


@pytest.fixture(scope="module")
def folder(encoder_folder, tokenizer, stories, tmp_path_factory):
    """A corpus, held-out documents, an encoder and an orderer."""
    folder = tmp_path_factory.mktemp("killing")
    for name, documents in (("corpus", stories[:90]), ("held-out", stories[90:120])):
        lines = (json.dumps({"sentences": document}) + "\n" for document in documents)
        (folder / f"{name}.jsonl").write_text("".join(lines))
    shutil.copytree(encoder_folder, folder / "encoder")
    AutoModelForSentenceOrdering.from_pretrained(encoder_folder).save_pretrained(folder / "orderer")
    tokenizer.save_pretrained(folder / "orderer")
    process = FORKS.Process(target=int)  # The first one waits for the imports.
    process.start()
    process.join()
    return folder


def run(program, *options, kill_after=None):
    """Run a program in a process of its own, and kill it after some seconds; return its exit status."""
    process = FORKS.Process(target=commands.main, args=([program, *OPTIONS[program].split(), *options],))
    process.start()
    process.join(kill_after)
    process.kill()
    process.join()
    return process.exitcode


def time_run(program, **options):
    """Run a program; return the seconds that it took and its exit status."""
    begin = time.monotonic()
    status = run(program, **options)
    return time.monotonic() - begin, status


def rerun(program):
    """Run a program again; training is resumed where there is something to resume."""
    if program != "train":
        return run(program)
    return run(program, "--resume_from_checkpoint", "true") if find_checkpoints() else run(program)


def find_checkpoints():
    return sorted(path.name for path in Path("out").glob("checkpoint-*") if read_state(path))


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_output(program):
    """Read what a program wrote under the names that it promises, but for how long it took."""
    files = [path for path in sorted(Path("out").iterdir()) if path.is_file() and not path.name.startswith(".")]
    if program != "train":
        return {path.name: digest(path) for path in files}
    state = json.loads(Path("out", "trainer_state.json").read_text())
    metrics = json.loads(Path("out", "eval_results.json").read_text())
    card = Path("out", "README.md").read_text().splitlines()
    return {
        "files": [path.name for path in files],
        "checkpoints": find_checkpoints(),
        "losses": [entry["loss"] for entry in state["log_history"] if "loss" in entry],
        "metrics": {name: value for name, value in metrics.items() if not re.search("time|_per_second", name)},
        "card": [line for line in card if not line.startswith("| time (h:mm:ss) |")],
        "config": digest(Path("out", "config.json")),
        "weights": digest(Path("out", "model.safetensors")),
    }


def check_that_all_is_whole(program, expected):
    """Check that whatever a killed program left under a promised name is what an undisturbed one would have left."""
    if program != "train":
        assert read_output(program).items() <= expected.items()
        return
    for name in find_checkpoints():
        AutoModelForSentenceOrdering.from_pretrained(Path("out", name))
    weights = Path("out", "model.safetensors")
    try:
        load_file(weights)
    except (FileNotFoundError, SafetensorError):
        return
    assert digest(weights) == expected["weights"]


@pytest.mark.slow
@pytest.mark.parametrize("program", OPTIONS)
def test_a_killed_program_leaves_nothing_half_written_and_a_rerun_ends_as_if_undisturbed(program, folder, monkeypatch):
    monkeypatch.chdir(folder)
    shutil.rmtree("out", ignore_errors=True)
    Path("out").mkdir()
    duration, status = time_run(program)
    assert status == 0
    expected = read_output(program)
    draw = random.Random(0)
    killed = 0
    while killed < KILLS:
        shutil.rmtree("out")
        Path("out").mkdir()
        elapsed, status = time_run(program, kill_after=draw.uniform(0, duration))
        killed += status == -signal.SIGKILL
        duration = elapsed if status == 0 else duration  # The machine has become faster.
        check_that_all_is_whole(program, expected)
        one_too_many = len([*Path("out").glob("checkpoint-*")]) > CHECKPOINTS
        assert rerun(program) == 0
        output = read_output(program)
        if one_too_many:
            # The Trainer deletes what changed longest ago, and a checkpoint that was being deleted has changed last.
            assert output["checkpoints"][:2] == expected["checkpoints"][:2]
            output["checkpoints"] = expected["checkpoints"]
        assert output == expected
