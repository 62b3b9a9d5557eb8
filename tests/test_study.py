import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "study.py"


def study(*arguments):
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True)


# One for each of the ways in which systems differ.
SYSTEMS = ["tutorial", "cls + mean", "attention", "mean, layers", "mean, zero head", "mean, fitted head", "pairwise"]


@pytest.mark.slow
def test_every_system_is_trained_measured_and_tabulated_once(encoder_folder, tmp_path):
    corpus = files("sentence_ordering") / "corpora" / "bigbench_narratives.{}.jsonl"
    named = "stories=" + ",".join(str(corpus).format(split) for split in ("train", "validation"))
    results = tmp_path / "results.jsonl"
    command = ["run", "--corpus", named, "--backbone", str(encoder_folder), "--results", str(results)]
    command += ["--documents_seen", "8", "--batch_size", "2", "--held_out", "50", "--systems", *SYSTEMS]
    first = study(*command)
    assert first.returncode == 0, first.stderr
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert [row["system"] for row in rows] == SYSTEMS
    for row in rows:
        assert [point["documents_seen"] for point in row["curve"]] == [0, 2, 4, 6, 8]
        assert all(-1 <= point["kendall_tau"] <= 1 for point in row["curve"])

    study(*command)
    assert len(results.read_text().splitlines()) == len(rows)

    table = study("table", str(results)).stdout
    assert all(f"| stories | {row['system']} | 1 |" in table for row in rows)
