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
        "sentence_ordering/orderers/general/README.md",
        "sentence_ordering/orderers/general/adapter/adapter_model.safetensors",
        "sentence_ordering/orderers/general-base/adapter/adapter_model.safetensors",
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


# Where the name of the program, or what else it imports before or after, could hide our classes.
PROGRAMS = {
    "sentence-ordering/__main__.py": "import sentence_ordering",
    "sentence-ordering": "import sentence_ordering",
    "order.py": "import sentence_ordering",
    "transformers_first.py": "import transformers\nimport sentence_ordering",
    "pipelines_first.py": "import transformers.pipelines\nimport sentence_ordering",
    "trainer_after.py": "import sentence_ordering\nfrom transformers.trainer import Trainer",
    "name_first.py": "from sentence_ordering import prepare_dataset",
    "module_first.py": "from sentence_ordering.model.modeling_sentence_ordering import SentenceOrderingModel",
    "command_first.py": "from sentence_ordering.commands.order import main",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_any_program_that_imports_the_package_gets_its_classes_from_transformers(
    program, python_with_torch, orderer_folder, tmp_path
):
    file = tmp_path / program
    file.parent.mkdir(exist_ok=True)
    file.write_text(
        f"{PROGRAMS[program]}\n"
        "from transformers import AutoConfig, AutoModel, pipeline\n"
        f"folder = {str(orderer_folder)!r}\n"
        "for auto_class in (AutoConfig, AutoModel):\n"
        "    print(type(auto_class.from_pretrained(folder)).__module__)\n"
        "print(pipeline('sentence-ordering', model=folder)(['a', 'b'])['positions'])\n"
    )
    command = [python_with_torch, str(file.parent if file.name == "__main__.py" else file)]
    config, model, *positions = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert config == "sentence_ordering.model.configuration_sentence_ordering"
    assert model == "sentence_ordering.model.modeling_sentence_ordering"
    assert positions in (["[0,", "1]"], ["[1,", "0]"])


def test_threads_that_ask_at_once_get_the_classes(python_with_torch, orderer_folder):
    code = (
        "import sys, transformers, sentence_ordering\n"  # transformers' own first import stands no threads.
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def load(name):\n"
        "    return type(getattr(transformers, name).from_pretrained(sys.argv[1])).__module__\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    print(*pool.map(load, ['AutoModel', 'AutoConfig'] * 2))\n"
    )
    command = [python_with_torch, "-c", code, str(orderer_folder)]
    modules = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.split()
    assert [name.partition(".")[0] for name in modules] == ["sentence_ordering"] * 4


def test_importing_the_package_waits_for_no_transformers():
    code = "import sys, sentence_ordering; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_public_names_are_those_of_the_package():
    assert all(hasattr(sentence_ordering, name) for name in sentence_ordering.__all__)
    assert len(sentence_ordering.__all__) == 17


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'sentence_ordering' has no attribute 'nonsense'"):
        sentence_ordering.nonsense  # noqa: B018


@pytest.fixture
def launchers(tmp_path):
    """The ways to start a program, as Python's arguments: the installed command, the module, and the script."""
    entry = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]["sentence-ordering"]
    module, function = entry.split(":")
    command = tmp_path / "sentence-ordering"
    command.write_text(f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n")
    return lambda program: {
        "command": [str(command), program],
        "module": ["-m", "sentence_ordering", program],
        "script": [str(REPOSITORY / "scripts" / f"{program}.py")],
    }


@pytest.mark.parametrize("launcher", ["command", "module", "script"])
@pytest.mark.parametrize("program", ["order", "evaluate", "publish"])
def test_help_of_a_program_waits_for_no_torch(launcher, program, launchers):
    command = [sys.executable, "-X", "importtime", *launchers(program)[launcher], "--help"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.startswith(f"usage: sentence-ordering {program}")
    imported = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}
    assert "sentence_ordering" in imported
    assert "torch" not in imported


@pytest.mark.parametrize(("launcher", "program"), [("command", "order"), ("module", "order"), ("script", "evaluate")])
def test_launched_program_knows_the_task(launcher, program, launchers, python_with_torch, orderer_folder, tmp_path):
    file = tmp_path / "documents.jsonl"
    file.write_text('{"sentences": ["Tom bought a cake.", "Then he ate it."]}\n')
    options = ["--model", str(orderer_folder), "--input" if program == "order" else "--file", str(file)]
    command = [python_with_torch, *launchers(program)[launcher], *options]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert ('"positions"' if program == "order" else "Kendall's tau") in output


def test_hub_modules_import_each_other_flat_and_nothing_that_transformers_does_not_need():
    folder = Path(sentence_ordering.__file__).parent / "model"
    allowed = {"torch", "transformers", "huggingface_hub", "numpy", "safetensors"} | sys.stdlib_module_names
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
    extras = [extra for name, extra in project["optional-dependencies"].items() if name not in ("dev", "docs")]
    lowest = dict(line.split("==") for line in lines_of(REPOSITORY / "constraints-lowest.txt"))
    for name, version in (requirement.split(">=") for requirement in sum(extras, project["dependencies"])):
        assert lowest[name.split("[")[0]] == version + ".0" * (2 - version.count(".")), name


def lines_of(path):
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]
