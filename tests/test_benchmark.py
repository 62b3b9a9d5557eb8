import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "scripts" / "benchmark.py"


def test_training_benchmark_runs_both_sides_in_both_precisions(tmp_path):
    command = [
        sys.executable,
        str(SCRIPT),
        "training",
        "--smoke",
        "--bf16",
        "--threads",
        "1",
        "--json",
        str(tmp_path / "figures.json"),
    ]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    figures = json.loads((tmp_path / "figures.json").read_text())
    names = [
        f"{what}, {precision}"
        for precision in ("float32", "bfloat16 autocast")
        for what in (
            "speed, ours / tutorial",
            "time, ours / bare encoder",
        )
    ]
    assert [row["what"] for row in figures["rows"]] == names
    assert all(name in table for name in names)
    for row in figures["rows"]:
        low, high = row["quartiles"]
        assert 0 < low <= row["ratio"] <= high
