"""Every block of Python and every command in the README and in docs/*.md is run, page by page and in their order.

A page's blocks share one namespace and one folder, in which names like `output/quickstart` mean tiny models and small
files. To use another name in a page, add it to `folder`.
"""

import csv
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentence_ordering.commands import PROGRAMS, main, workers

REPOSITORY = Path(__file__).parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]

# Commands that need the network or never end, and make, whose recipes .ci/run tests.
NOT_RUN = (
    "make",
    "pip",
    "hf",
    "tensorboard",
    "trackio",
    "sentence-ordering publish",
    "sentence-ordering app",
    "python scripts/order_ray.py",
)
# What pages need besides the package; tests/integrations runs them where that is installed, with a trained orderer.
NEEDED = {"retrieval.md": ("langchain_core", "haystack", "llama_index.core", "fastapi")}
# What makes training short, whatever a page asks for.
SHORT = ["--max_steps", "2", "--use_cpu", "--disable_tqdm", "true"]


@pytest.fixture(scope="module")
def encoder_folder(shallow_encoder_folder):
    return shallow_encoder_folder


@pytest.fixture
def folder(model, orderer_folder, encoder_folder, stories, tmp_path, monkeypatch):
    """A folder in which the names that the pages use mean tiny models and small files."""
    model.config.confidence_slope = 1.0
    model.config.save_pretrained(orderer_folder)
    folder = tmp_path / "page"
    for name in ("output", "user", "books", "shards"):
        (folder / name).mkdir(parents=True)
    for name, target in (
        ("output/quickstart", orderer_folder),
        ("user/name", orderer_folder),
        ("user/quickstart", orderer_folder),
        ("bert-base-uncased", encoder_folder),
        ("configuration", REPOSITORY / "configuration"),
    ):
        (folder / name).symlink_to(target)
    for name, documents in (
        ("train", stories[:24]),
        ("valid", stories[24:30]),
        ("shuffled", stories[:3]),
        ("shards/0", stories[:3]),
        ("shards/1", stories[3:6]),
    ):
        lines = "".join(json.dumps({"sentences": document}) + "\n" for document in documents)
        (folder / f"{name}.jsonl").write_text(lines)
    (folder / "insertions.jsonl").write_text(json.dumps({"sentences": stories[0][1:], "insert": stories[0][:1]}))
    (folder / "shuffled.txt").write_text("\n\n".join("\n".join(story) for story in stories[:3]))
    with open(folder / "stories.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow([f"sentence{number}" for number in range(1, 6)])
        table.writerows((story * 5)[:5] for story in stories[:40])
    for number in range(4):
        paragraphs = [" ".join(story) for story in stories[number * 9 : number * 9 + 9]]
        (folder / "books" / f"{number}.txt").write_text("\n\n".join(paragraphs))
    monkeypatch.chdir(folder)
    return folder


def run_command(line, monkeypatch):
    """Run a line of a shell block in this process."""
    words = shlex.split(line, comments=True)
    if not words or line.startswith(NOT_RUN):
        return
    if "<" in words:
        at = words.index("<")
        monkeypatch.setattr(sys, "stdin", open(words[at + 1], "rb"))
        del words[at : at + 2]
    if words[0] == "sentence-ordering":
        program, options, run = words[1], words[2:], lambda options: main([words[1], *options])
    else:
        assert words[0] == "python" and words[1].startswith("scripts/"), f"This page's command is not run: {line}"
        monkeypatch.syspath_prepend(REPOSITORY / "scripts")  # as where Python itself runs it
        program, options, run = Path(words[1]).stem, words[2:], runpy.run_path(REPOSITORY / words[1])["main"]
    if program in ("train", "search"):
        options += SHORT
        if any(option.endswith(".yaml") for option in options):
            options += ["--model", "bert-base-uncased"]
    if program == "search":
        options += ["--trials", "1"]
    if program == "benchmark":
        options += ["--smoke"]
    if program == "study" and options[0] == "run":
        options += [
            "--backbone",
            "bert-base-uncased",
            "--documents_seen",
            "8",
            "--held_out",
            "6",
            "--points",
            "1",
            "--seeds",
            "1",
        ]
    run(options)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_runs_from_top_to_bottom(page, folder, monkeypatch):
    for package in ("sentencex", "optuna", "onnxscript", "onnxruntime", *NEEDED.get(page.name, ())):
        pytest.importorskip(package)
    blocks = re.findall(r"^```(python|sh)\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert blocks, "There is nothing to run on this page."
    namespace = {}
    for language, block in blocks:
        if language == "python":
            exec(compile(block, page.name, "exec"), namespace)
        else:
            for line in block.replace("\\\n", "").splitlines():
                run_command(line, monkeypatch)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_imports_the_package_before_it_uses_the_task(page):
    code = "".join(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE))
    before_use, *_ = code.split('pipeline("sentence-ordering"')
    assert before_use == code or re.search(r"^(import|from) sentence_ordering", before_use, re.MULTILINE)


def test_readme_shows_every_program_and_no_other():
    text = (REPOSITORY / "README.md").read_text()
    assert set(re.findall(r"^sentence-ordering (\w+)", text, flags=re.MULTILINE)) == set(PROGRAMS)


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


def block_with(text):
    """Return the block of docs/scale.md in which a text stands."""
    blocks = re.findall(
        r"^```bash\n(.*?)^```", (REPOSITORY / "docs" / "scale.md").read_text(), re.DOTALL | re.MULTILINE
    )
    [block] = [block for block in blocks if text in block]
    return block


def test_jobs_of_a_slurm_array_order_each_file_once(folder, stories, monkeypatch):
    for number in range(3):
        pq.write_table(pa.table({"sentences": stories[number : number + 2]}), folder / "shards" / f"{number}.parquet")
    words = shlex.split(block_with("#SBATCH").splitlines()[-1])
    assert words[:2] == ["sentence-ordering", "order"]
    monkeypatch.setattr(workers, "START_METHOD", "fork")  # It takes no time.
    for job, finished in (("0", 1), ("1", 2), ("31", 2), ("2", 3)):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", job)
        main([*map(os.path.expandvars, words[1:]), "--model", "output/quickstart"])
        assert len(list(folder.glob("ordered/*.parquet"))) == finished


def test_command_for_the_hub_is_one_that_it_reads():
    script = block_with("hf jobs run").replace("hf jobs run", "hf jobs run --dry-run").replace("0 1 2 3", "3")
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    told = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment)
    assert told.returncode == 0, told.stderr
    for expected in ("not submitted", "l4x1", "hf://buckets/user/corpus:/corpus", "--shard 3/4"):
        assert expected in told.stdout
