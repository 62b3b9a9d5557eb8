"""Starting: imports beside those of transformers, and the programs' help. CPU seconds of fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from .measuring import Row, summarize

SCRIPTS = Path(__file__).parents[1]
# Seconds that the help of a program may take.
HELP = {"order": 2, "publish": 2, "benchmark": 2, "train": 5, "evaluate": 5}


def benchmark_startup(args: Namespace, _: str) -> list[Row]:
    """Import the package beside transformers and a model class of its own, and ask the programs for help."""
    import numpy as np

    def importing(code: str) -> float:
        return cpu_seconds("-c", code)

    reference = "import torch, transformers; from transformers import BertModel"
    ours = "import sentence_ordering; from sentence_ordering import SentenceOrderingModel"
    imports = np.array([[importing(reference), importing(ours)] for _ in range(args.rounds)])
    rows = [summarize("import of the package / of transformers", "s", imports, 1.3, less_is_better=True)]
    for program, limit in HELP.items():
        times = [[limit, cpu_seconds(str(SCRIPTS / f"{program}.py"), "--help")] for _ in range(args.rounds)]
        what = f"help of {program} / what it may take"
        rows.append(summarize(what, "s", np.array(times), 1, less_is_better=True))
    return rows


def cpu_seconds(*arguments: str) -> float:
    """Run Python in a fresh process, and return how long it had a processor."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"`python {' '.join(arguments)}` failed.")
    return usage.ru_utime + usage.ru_stime
