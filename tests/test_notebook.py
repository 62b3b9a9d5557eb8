"""The notebook, run from top to bottom by nbmake (extra `docs`), but for the cell that installs the package."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sentence_ordering.commands.train_arguments import MINILM
from sentence_ordering.model.adapter import locate_encoder

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "quickstart.ipynb"


@pytest.fixture(scope="module")
def cells():
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def test_it_is_stored_without_outputs(cells):
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["outputs"] for cell in code] == [[]] * len(code)
    assert [cell["execution_count"] for cell in code] == [None] * len(code)


def test_only_the_installation_is_not_run(cells):
    [skipped] = [cell for cell in cells if "skip-execution" in cell["metadata"].get("tags", [])]
    [_, requirement, _] = "".join(skipped["source"]).split('"')
    path, extra = re.fullmatch(r"(.+)\[(\w+)\]", requirement).groups()
    project = tomllib.loads((NOTEBOOK.parent / path / "pyproject.toml").read_text())["project"]
    assert extra in project["optional-dependencies"]


def test_it_leads_to_no_address_until_the_repository_has_one(cells):
    assert [line for cell in cells for line in cell["source"] if "://" in line] == []


@pytest.mark.slow
@pytest.mark.real_weights
@pytest.mark.skipif(locate_encoder(MINILM) == MINILM, reason="the extra `demo` is not installed")
def test_it_runs_offline_from_top_to_bottom(tmp_path):
    pytest.importorskip("nbmake")
    whole = NOTEBOOK.read_text(encoding="utf-8")
    short = whole.replace("[:320]", "[:80]")  # Enough to learn from, and a quarter of the time.
    assert short != whole
    (tmp_path / NOTEBOOK.name).write_text(short, encoding="utf-8")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--nbmake",
            "--nbmake-timeout=900",
            "--overwrite",
            "-p",
            "no:cacheprovider",
            NOTEBOOK.name,
        ],
        cwd=tmp_path,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        check=True,
    )
    outputs = [
        output
        for cell in json.loads((tmp_path / NOTEBOOK.name).read_text(encoding="utf-8"))["cells"]
        for output in cell.get("outputs", [])
    ]
    said = "".join(text for output in outputs for text in output.get("text", []))
    assert said.count("Tom was hungry.\nSo he bought a cake.\nThen he ate it.\n") == 2  # The trained orderer, and mine.
    assert "| bag of words |" in said
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1
