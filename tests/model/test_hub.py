"""Saved orderers in fresh processes: with the package, and on machines that have never heard of it."""

import json
import logging
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModel, Trainer, TrainingArguments, pipeline

import sentence_ordering
from sentence_ordering import AutoModelForSentenceOrdering, SentenceOrderingConfig, SentenceOrderingModel
from sentence_ordering.model.configuration_sentence_ordering import __version__

CODE_FILES = {path.name for path in (Path(sentence_ordering.__file__).parent / "model").glob("[!_]*.py")}
DOCUMENT = ["Then he ate it.", "So he bought a cake.", "Tom was hungry."]

DEFINITIONS = f"document = {DOCUMENT}\n"
WITH_PACKAGE = f"{DEFINITIONS}import json, os, sys, sentence_ordering\n"


@pytest.fixture
def run(python, python_with_torch):
    """Run code in a process of its own, and return what its last line prints as JSON."""

    def run(code, *arguments, env=None):
        command = [python_with_torch if env else python, "-c", code, *map(str, arguments)]
        result = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | (env or {}), stdin=subprocess.DEVNULL
        )
        assert result.returncode == 0, result.stderr[-3000:]
        return json.loads(result.stdout.splitlines()[-1])

    return run


@pytest.fixture
def moved_folder(orderer_folder, tmp_path):
    """A copy of the saved orderer, like one that was downloaded."""
    return shutil.move(orderer_folder, tmp_path / "elsewhere")


@pytest.fixture
def scores(model, tokenizer):
    return pipeline("sentence-ordering", model=model, tokenizer=tokenizer)(DOCUMENT)["scores"]


@pytest.fixture
def hub_cache(orderer_folder, tmp_path):
    """The Hub cache's own layout, holding the orderer as user/orderer."""
    repository = tmp_path / "home" / "hub" / "models--user--orderer"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    shutil.copytree(orderer_folder, repository / "snapshots" / commit)
    return {"HF_HOME": str(tmp_path / "home")}


def assert_complete(folder, tokenizer=True):
    names = {path.name for path in Path(folder).iterdir()}
    assert names >= CODE_FILES | {"model.safetensors", "config.json"}
    assert ({"tokenizer.json", "tokenizer_config.json"} <= names) == tokenizer
    config = json.loads((Path(folder) / "config.json").read_text())
    assert config["auto_map"] == {
        "AutoConfig": "configuration_sentence_ordering.SentenceOrderingConfig",
        "AutoModel": "modeling_sentence_ordering.SentenceOrderingModel",
    }
    assert config["custom_pipelines"] == {
        "sentence-ordering": {
            "impl": "pipeline_sentence_ordering.SentenceOrderingPipeline",
            "pt": ["AutoModel"],
            "type": "text",
        }
    }


class TestSaves:
    def test_model_save_is_complete(self, model, tmp_path):
        model.save_pretrained(tmp_path)
        assert_complete(tmp_path, tokenizer=False)

    def test_pipeline_save_is_complete(self, model, tokenizer, tmp_path):
        pipeline("sentence-ordering", model=model, tokenizer=tokenizer).save_pretrained(tmp_path)
        assert_complete(tmp_path)

    def test_trainer_saves_are_complete(self, model, tokenizer, tmp_path):
        rows = [{"input_ids": [1, 7, 1, 8], "labels": [0, 1]}] * 2
        arguments = TrainingArguments(
            str(tmp_path), max_steps=1, save_steps=1, report_to="none", use_cpu=True, disable_tqdm=True
        )
        trainer = Trainer(model, arguments, train_dataset=rows, processing_class=tokenizer)
        trainer.train()
        trainer.save_model()
        assert_complete(tmp_path)
        assert_complete(tmp_path / "checkpoint-1")

    def test_saving_a_pipeline_leaves_the_model_usable(self, model, tokenizer, tmp_path):
        order = pipeline("sentence-ordering", model=model, tokenizer=tokenizer)
        order.save_pretrained(tmp_path)
        again = pipeline("sentence-ordering", model=str(tmp_path))
        assert again(DOCUMENT)["order"] == order(DOCUMENT)["order"]


class TestWithoutThePackage:
    def test_folder_loads_trains_and_saves_again(self, without_package, moved_folder, scores, tmp_path, run):
        code = (
            without_package
            + DEFINITIONS
            + """
from transformers import AutoConfig, AutoModel, AutoTokenizer, Trainer, TrainingArguments, pipeline
folder, output = sys.argv[1:]
config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
model = AutoModel.from_pretrained(folder, trust_remote_code=True)
tokenizer = AutoTokenizer.from_pretrained(folder)
named = pipeline("sentence-ordering", model=folder, trust_remote_code=True)
found = pipeline(model=folder, trust_remote_code=True)
answers = [order(document)["scores"] for order in (named, found)]
model.config.max_tokens = 8
assert sorted(type(named)(model=model, tokenizer=tokenizer)(document * 9)["order"]) == list(range(27))
model.config.max_tokens = None
named.save_pretrained(output + "/pipeline")
model.save_pretrained(output + "/model")
arguments = TrainingArguments(
    output + "/trained", max_steps=2, learning_rate=0.1, report_to="none", use_cpu=True, disable_tqdm=True
)
rows = [{"input_ids": [1, 7, 1, 8], "labels": [0, 1]}] * 4
trainer = Trainer(model, arguments, train_dataset=rows, processing_class=tokenizer)
trainer.train()
trainer.save_model()
trained = type(named)(model=model, tokenizer=tokenizer)
print(json.dumps([config.pooling, answers, trained(document)["scores"]]))
"""
        )
        pooling, answers, trained = run(code, moved_folder, tmp_path)
        assert pooling == "cls"
        assert answers == [pytest.approx(scores, abs=1e-6)] * 2
        assert trained != pytest.approx(scores, abs=1e-3)
        assert_complete(tmp_path / "pipeline")
        assert_complete(tmp_path / "model", tokenizer=False)
        assert_complete(tmp_path / "trained")

        again = (
            without_package
            + DEFINITIONS
            + """
from transformers import pipeline
scores = [pipeline(model=folder, trust_remote_code=True)(document)["scores"] for folder in sys.argv[1:]]
print(json.dumps(scores))
"""
        )
        assert run(again, tmp_path / "pipeline", tmp_path / "trained") == [
            pytest.approx(scores, abs=1e-6),
            pytest.approx(trained, abs=1e-5),
        ]

    def test_hub_cache_loads_and_saves_again(self, without_package, hub_cache, scores, tmp_path, run):
        code = (
            without_package
            + DEFINITIONS
            + """
from transformers import AutoModel, pipeline
model = AutoModel.from_pretrained("user/orderer", trust_remote_code=True)
order = pipeline("sentence-ordering", model="user/orderer", trust_remote_code=True)
found = pipeline(model="user/orderer", trust_remote_code=True)
order.save_pretrained(sys.argv[1])
print(json.dumps([type(model).__name__, order(document)["scores"], found(document)["scores"]]))
"""
        )
        name, *answers = run(code, tmp_path / "again", env=hub_cache)
        assert name == "SentenceOrderingModel"
        assert answers == [pytest.approx(scores, abs=1e-6)] * 2
        assert_complete(tmp_path / "again")

    def test_nothing_runs_without_the_flag(self, without_package, moved_folder, run):
        for path in moved_folder.glob("*.py"):
            path.write_text("open('executed', 'w')\n" + path.read_text())
        code = (
            without_package
            + DEFINITIONS
            + """
os.chdir(sys.argv[1])
from transformers import AutoConfig, AutoModel, pipeline
errors = []
order = lambda folder: pipeline("sentence-ordering", folder)
for load in (AutoConfig.from_pretrained, AutoModel.from_pretrained, order):
    try:
        load(sys.argv[1])
    except ValueError as error:
        errors.append("trust_remote_code=True" in str(error))
print()  # behind transformers' own question
print(json.dumps(errors))
"""
        )
        assert run(code, moved_folder) == [True, True, True]
        assert not (moved_folder / "executed").exists()


class TestWithThePackage:
    @pytest.mark.parametrize("place", ["folder", "cache"])
    def test_no_flag_is_needed(self, place, moved_folder_or_cache, scores, run):
        name, env = moved_folder_or_cache
        code = (
            WITH_PACKAGE
            + """
from transformers import AutoConfig, AutoModel, AutoTokenizer, pipeline
config = AutoConfig.from_pretrained(sys.argv[1])
model = AutoModel.from_pretrained(sys.argv[1])
AutoTokenizer.from_pretrained(sys.argv[1])
order = pipeline("sentence-ordering", model=sys.argv[1])
trusted = pipeline("sentence-ordering", model=sys.argv[1], trust_remote_code=True)
modules = [type(thing).__module__.split(".")[0] for thing in (config, model, order, trusted, trusted.model)]
print(json.dumps([modules, order(document)["scores"]]))
"""
        )
        modules, answer = run(code, name, env=env)
        assert modules == ["sentence_ordering"] * 5
        assert answer == pytest.approx(scores, abs=1e-6)

    @pytest.fixture
    def moved_folder_or_cache(self, place, request):
        if place == "folder":
            return request.getfixturevalue("moved_folder"), {}
        return "user/orderer", request.getfixturevalue("hub_cache")


def edit_config(folder, **fields):
    path = Path(folder) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


class TestVersions:
    def test_writing_version_is_recorded(self, orderer_folder):
        config = json.loads((orderer_folder / "config.json").read_text())
        assert config["sentence_ordering_version"] == __version__

    def test_newer_file_loads_with_one_warning_and_keeps_its_fields(self, orderer_folder, tmp_path, caplog):
        edit_config(orderer_folder, sentence_ordering_version="99.1.0", field_of_the_future=[1])
        with caplog.at_level(logging.WARNING):
            model = AutoModelForSentenceOrdering.from_pretrained(orderer_folder)
        [message] = [r.getMessage() for r in caplog.records if "sentence-ordering 99.1.0" in r.getMessage()]
        assert message.endswith("Upgrade the package if it behaves differently.")
        model.save_pretrained(tmp_path)
        saved = json.loads((tmp_path / "config.json").read_text())
        assert saved["field_of_the_future"] == [1]
        assert saved["sentence_ordering_version"] == __version__

    @pytest.mark.parametrize("version", [__version__, "0.0.9", None])
    def test_own_and_older_files_load_in_silence(self, version, orderer_folder, caplog):
        edit_config(orderer_folder, sentence_ordering_version=version)
        with caplog.at_level(logging.WARNING):
            SentenceOrderingConfig.from_pretrained(orderer_folder)
        assert not caplog.records


class TestSecurity:
    def test_pickled_weights_are_refused(self, model, orderer_folder):
        class Bomb:
            def __reduce__(self):
                return (open, (str(orderer_folder / "executed"), "w"))

        (orderer_folder / "model.safetensors").unlink()
        with (orderer_folder / "pytorch_model.bin").open("wb") as file:
            pickle.dump(Bomb(), file)
        for load in (AutoModel, AutoModelForSentenceOrdering, SentenceOrderingModel):
            with pytest.raises(OSError, match="safetensors"):
                load.from_pretrained(orderer_folder)
            with pytest.raises(ValueError, match="safetensors only: a pickle can run code"):
                load.from_pretrained(orderer_folder, use_safetensors=False)
        assert not (orderer_folder / "executed").exists()

    def test_package_never_trusts_code_by_itself(self):
        package = Path(sys.modules["sentence_ordering"].__file__).parent
        for path in package.rglob("*.py"):
            assert "trust_remote_code=" not in path.read_text(), path

    # Transformers knows the configuration of the second, but has no model for it alone.
    @pytest.mark.parametrize("model_type", ["bert", "altclip_text_model", "evil"])
    def test_backbone_of_a_downloaded_config_cannot_bring_code(self, model_type, orderer_folder, monkeypatch):
        monkeypatch.setattr("builtins.input", lambda question: "y")
        evil = orderer_folder / "evil.py"
        evil.write_text(f"open({str(orderer_folder / 'executed')!r}, 'w')\nclass Evil: ...\n")
        config = json.loads((orderer_folder / "config.json").read_text())
        backbone = config["backbone_config"] | {
            "model_type": model_type,
            "auto_map": {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil", "AutoModelForTextEncoding": "evil.Evil"},
            "trust_remote_code": True,
            "_name_or_path": str(orderer_folder),
        }
        edit_config(orderer_folder, backbone_config=backbone, trust_remote_code=True)
        if model_type == "bert":
            assert type(AutoModel.from_pretrained(orderer_folder).backbone).__name__ == "BertModel"
        else:
            unknown = "model_type='evil', which this version of transformers does not know"
            with pytest.raises(
                ValueError, match=unknown if model_type == "evil" else "Unrecognized configuration class"
            ):
                AutoModel.from_pretrained(orderer_folder)
        assert not (orderer_folder / "executed").exists()

    def test_own_auto_map_of_a_downloaded_config_is_not_followed(self, orderer_folder):
        for name in CODE_FILES:
            (orderer_folder / name).write_text(f"open({str(orderer_folder / 'executed')!r}, 'w')\n")
        assert type(AutoModel.from_pretrained(orderer_folder)) is SentenceOrderingModel
        pipeline("sentence-ordering", model=str(orderer_folder))(DOCUMENT)
        assert not (orderer_folder / "executed").exists()

    @pytest.mark.parametrize("place", ["config", "backbone_config"])
    @pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "_attn_implementation_internal"])
    @pytest.mark.parametrize("value", ["evil/kernel", {"backbone_config": "evil/kernel"}])
    def test_attention_code_of_a_downloaded_config_is_not_loaded(self, key, value, place, orderer_folder):
        config = json.loads((orderer_folder / "config.json").read_text())
        target = config if place == "config" else config["backbone_config"]
        target[key] = value
        edit_config(orderer_folder, **config)
        model = AutoModel.from_pretrained(orderer_folder)
        assert model.config._attn_implementation == model.backbone.config._attn_implementation == "sdpa"
        eager = AutoModel.from_pretrained(orderer_folder, attn_implementation="eager")
        assert eager.backbone.config._attn_implementation == "eager"
