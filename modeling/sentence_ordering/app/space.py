"""The folder of a Space of the Hugging Face Hub that shows the page for one orderer."""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib.metadata import requires, version
from pathlib import Path

from packaging.requirements import Requirement

from ..orderers import ORDERERS

PACKAGE = Path(__file__).parents[1]
# Those of the package's extras whose requirements the page needs.
EXTRA = "app"

APP = '''"""A page on which the sentence orderer {model} is tried out."""

from sentence_ordering.app.page import open_page

if __name__ == "__main__":
    open_page([{model!r}], any_model=False)
'''
README = """---
title: Sentence ordering
emoji: 🔀
colorFrom: blue
colorTo: gray
sdk: gradio
sdk_version: {gradio}
python_version: "3.11"
app_file: app.py
pinned: false
license: apache-2.0
{models}---

Shuffled sentences, and the order in which the orderer {model} puts them. The code beside this file is that of the
package `sentence-ordering` {version}.
"""


def lay_out_space(folder: str | os.PathLike[str], model: str) -> list[str]:
    """Write all that a Space needs into a new folder: `app.py`, `requirements.txt`, `README.md` and this package.

    The package goes along as its source, so that the Space runs the version that it was laid out with.

    Args:
        folder: The folder, which is made; its parent must exist.
        model: Hub id of a public orderer, or the name of one that comes with the package.

    Returns:
        The paths of the files in the folder, sorted, with `/` between the parts.

    Raises:
        FileExistsError: If there is something at that path.
        OSError: If it cannot be written.

    Example:
        >>> lay_out_space("demo", "user/orderer")[:2]
        ['README.md', 'app.py']
    """
    folder = Path(folder)
    check_space(folder)
    is_shipped = model in ORDERERS
    models = "" if is_shipped else f"models:\n- {model}\n"
    extras = {EXTRA, "general"} if is_shipped else {EXTRA}
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as work:
        aside = Path(work, "space")
        aside.mkdir()
        # Not the shipped orderers if the Space shows another one: they are megabytes.
        ignored = ["__pycache__", "*.pyc"] + ([] if is_shipped else ["orderers"])
        shutil.copytree(PACKAGE, aside / PACKAGE.name, ignore=shutil.ignore_patterns(*ignored))
        own = version("sentence-ordering")
        (aside / "app.py").write_text(APP.format(model=model), encoding="utf-8")
        (aside / "README.md").write_text(
            README.format(gradio=version("gradio"), models=models, model=model, version=own), encoding="utf-8"
        )
        (aside / "requirements.txt").write_text("\n".join(_requirements(extras)) + "\n", encoding="utf-8")
        aside.rename(folder)
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def check_space(folder: Path) -> None:
    """Check that a Space can be laid out.

    Args:
        folder: As for `lay_out_space`.

    Raises:
        PackageNotFoundError: If gradio, which the Space is to have in this version, is not installed.
        FileExistsError: If there is something at that path.
        FileNotFoundError: If there is no folder around it.
    """
    version("gradio")
    if os.path.lexists(folder):
        raise FileExistsError(f"{folder} exists. Name a new folder for the Space, or remove it.")
    if not folder.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(folder.parent)!r} to lay it out in.")


def _requirements(extras: set[str]) -> list[str]:
    """List what the package needs with some of its extras; gradio comes with the Space, by its version above."""
    chosen = []
    for line in requires("sentence-ordering") or []:
        requirement = Requirement(line)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            requirement.marker = None
            chosen.append(str(requirement))
    return sorted(chosen)
