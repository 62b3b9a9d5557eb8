import json
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import sentence_ordering
from sentence_ordering.commands import PROGRAMS, main

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    [path] = folder.glob("*.whl")
    return path


def test_wheel_holds_the_package_only(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    version = sentence_ordering.__version__
    tops = {name.split("/")[0] for name in names}
    assert tops == {"sentence_ordering", f"sentence_ordering-{version}.dist-info"}
    assert {
        "sentence_ordering/py.typed",
        "sentence_ordering/corpora/bigbench_narratives.train.jsonl",
        f"sentence_ordering-{version}.dist-info/licenses/LICENSE",
        f"sentence_ordering-{version}.dist-info/licenses/NOTICE",
    } <= set(names)


def test_installed_wheel_orders_from_any_folder(wheel, orderer_folder, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import json, sys, sentence_ordering\n"
        "from transformers import pipeline\n"
        "from sentence_ordering.data import load_documents\n"
        "order = pipeline('sentence-ordering', model=sys.argv[1])\n"
        "documents = len(load_documents('bigbench_narratives')['train'])\n"
        "print(json.dumps([sentence_ordering.__file__, order(['a', 'b'])['positions'], documents]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(orderer_folder)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site"), "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=True,
    )
    file, positions, documents = json.loads(run.stdout)
    assert file == str(tmp_path / "site" / "sentence_ordering" / "__init__.py")
    assert (sorted(positions), documents) == ([0, 1], 770)


def test_public_names_are_those_of_the_package():
    assert all(hasattr(sentence_ordering, name) for name in sentence_ordering.__all__)
    assert len(sentence_ordering.__all__) == 11


def test_hub_modules_import_each_other_flat_and_nothing_but_torch_transformers_numpy():
    folder = Path(sentence_ordering.__file__).parent
    for path in folder.glob("*_sentence_ordering.py"):
        imports = re.findall(r"^\s*(?:from (\S+) import|import (\S+))", path.read_text(), flags=re.MULTILINE)
        for module in (a or b for a, b in imports):
            if module.startswith("."):
                assert (folder / f"{module[1:]}.py").exists(), (path.name, module)
                assert module.endswith("_sentence_ordering"), (path.name, module)
            else:
                root = module.split(".")[0]
                assert root in {"torch", "transformers", "numpy"} | sys.stdlib_module_names, (path.name, module)


@pytest.fixture
def readme_folder(orderer_folder, encoder_folder, stories, tmp_path, monkeypatch):
    """A folder in which the names that the README uses mean tiny models and small files."""
    folder = tmp_path / "readme"
    (folder / "output").mkdir(parents=True)
    (folder / "output" / "quickstart").symlink_to(orderer_folder)
    (folder / "bert-base-uncased").symlink_to(encoder_folder)
    (folder / "user").mkdir()
    (folder / "user" / "name").symlink_to(orderer_folder)
    for name, documents in (("train", stories[:24]), ("valid", stories[24:30])):
        lines = "".join(json.dumps({"sentences": document}) + "\n" for document in documents)
        (folder / f"{name}.jsonl").write_text(lines)
    monkeypatch.chdir(folder)
    return folder


def test_python_of_the_readme_runs(readme_folder):
    blocks = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), flags=re.DOTALL)
    assert len(blocks) >= 3
    namespace = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), namespace)


def test_commands_of_the_readme_run(readme_folder, stories):
    (readme_folder / "shuffled.jsonl").write_text(json.dumps(stories[0]))
    blocks = re.findall(r"```sh\n(.*?)```", (REPOSITORY / "README.md").read_text(), flags=re.DOTALL)
    lines = "".join(blocks).replace("\\\n", "").splitlines()
    commands = [shlex.split(line, comments=True) for line in lines if line.startswith("sentence-ordering ")]
    ran = []
    for _, program, *options in commands:
        if program == "publish" or "<" in options:  # Needs the Hub, or the shell.
            continue
        if program == "train":
            options += ["--max_steps", "2", "--use_cpu", "--report_to", "none"]
        main([program, *options])
        ran.append(program)
    assert ran == ["order", "train", "evaluate"]
    assert (readme_folder / "ordered.jsonl").exists()
    assert (readme_folder / "output" / "evaluation" / "metrics.json").exists()


def test_programs_of_the_readme_exist():
    text = (REPOSITORY / "README.md").read_text()
    used = set(re.findall(r"^sentence-ordering (\w+)", text, flags=re.MULTILINE))
    assert used == set(PROGRAMS)
