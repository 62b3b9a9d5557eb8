import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import sentence_ordering

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


def test_a_script_with_the_name_of_the_package_knows_the_task(orderer_folder, tmp_path):
    script = tmp_path / "sentence-ordering.py"
    script.write_text(
        "import sentence_ordering\nfrom transformers import pipeline\n"
        f"print(pipeline('sentence-ordering', model={str(orderer_folder)!r})(['a', 'b'])['positions'])\n"
    )
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert run.stdout in ("[0, 1]\n", "[1, 0]\n")


def test_public_names_are_those_of_the_package():
    assert all(hasattr(sentence_ordering, name) for name in sentence_ordering.__all__)
    assert len(sentence_ordering.__all__) == 17


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'sentence_ordering' has no attribute 'nonsense'"):
        sentence_ordering.nonsense  # noqa: B018


@pytest.mark.parametrize("program", ["order", "evaluate", "publish"])
def test_help_of_a_program_waits_for_no_torch(program):
    # The launcher's own last act, so that it can be asked what it has imported.
    code = (
        "import atexit, runpy, sys\n"
        "atexit.register(lambda: print('torch' in sys.modules))\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    command = [sys.executable, "-c", code, str(REPOSITORY / "scripts" / f"{program}.py"), "--help"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.startswith(f"usage: sentence-ordering {program}")
    assert output.endswith("False\n")


@pytest.mark.parametrize("program", ["order", "evaluate"])
def test_launched_program_knows_the_task(program, orderer_folder, tmp_path):
    file = tmp_path / "documents.jsonl"
    file.write_text('{"sentences": ["Tom bought a cake.", "Then he ate it."]}\n')
    options = ["--model", str(orderer_folder), "--input" if program == "order" else "--file", str(file)]
    command = [sys.executable, str(REPOSITORY / "scripts" / f"{program}.py"), *options]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert ('"positions"' if program == "order" else "Kendall's tau") in output


def test_hub_modules_import_each_other_flat_and_nothing_that_transformers_does_not_need():
    folder = Path(sentence_ordering.__file__).parent / "model"
    allowed = {"torch", "transformers", "huggingface_hub", "numpy"} | sys.stdlib_module_names
    for path in folder.glob("[!_]*.py"):
        imports = re.findall(r"^\s*(?:from (\S+) import|import (\S+))", path.read_text(), flags=re.MULTILINE)
        for module in (a or b for a, b in imports):
            if module.startswith("."):
                assert (folder / f"{module[1:]}.py").exists(), (path.name, module)
            else:
                root = module.split(".")[0]
                assert root in allowed, (path.name, module)


def test_lowest_versions_are_those_that_are_declared():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = [extra for name, extra in project["optional-dependencies"].items() if name != "dev"]
    lowest = dict(line.split("==") for line in lines_of(REPOSITORY / "constraints-lowest.txt"))
    for name, version in (requirement.split(">=") for requirement in sum(extras, project["dependencies"])):
        assert lowest[name] == version + ".0" * (2 - version.count(".")), name


def lines_of(path):
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]
