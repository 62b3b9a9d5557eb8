"""The orderer that comes with the package: its files, its name, and what it answers with the real encoder."""

import json
import subprocess

import pytest
import torch
from transformers import AutoTokenizer, pipeline

import sentence_ordering  # noqa: F401  # registers the task
from sentence_ordering import AutoModelForSentenceOrdering, SentenceOrderingConfig, ordering_trainer
from sentence_ordering.commands import main
from sentence_ordering.model import adapter
from sentence_ordering.model.adapter import locate_encoder
from sentence_ordering.orderers import FOLDER, ORDERERS, locate_orderer, read_card

GENERAL = FOLDER / "general"
SHUFFLED = ["Then he ate it.", "So he bought a cake.", "Tom was hungry."]
MINILM = "sentence-transformers/all-MiniLM-L6-v2"

needs_encoder = pytest.mark.skipif(locate_encoder(MINILM) == MINILM, reason="the extra `general` is not installed")


def test_name_is_that_of_the_packages_folder():
    assert locate_orderer("general") == str(GENERAL)
    assert locate_orderer("general-base") == str(FOLDER / "general-base")
    assert locate_orderer("general-large") == "general-large"
    assert locate_orderer("user/name") == "user/name"


def test_a_folder_of_that_name_comes_first(tmp_path, monkeypatch):
    (tmp_path / "general").mkdir()
    monkeypatch.chdir(tmp_path)
    assert locate_orderer("general") == "general"


@pytest.mark.parametrize(
    ("name", "encoder", "limit"),
    [("general", MINILM, 4_000_000), ("general-base", "sentence-transformers/all-mpnet-base-v2", 8_000_000)],
)
def test_they_are_small_and_name_their_encoder(name, encoder, limit):
    assert sum(path.stat().st_size for path in (FOLDER / name).rglob("*") if path.is_file()) < limit
    saved = json.loads((FOLDER / name / "adapter" / "adapter_config.json").read_text())
    assert saved["base_model_name_or_path"] == encoder


@pytest.mark.parametrize("name", ORDERERS)
def test_they_tell_confidence(name):
    assert SentenceOrderingConfig.from_pretrained(FOLDER / name).confidence_slope > 0


@pytest.mark.parametrize("name", ORDERERS)
def test_their_files_name_no_path_of_a_machine(name):
    for path in (FOLDER / name).rglob("*.json"):
        if path.name != "tokenizer.json":
            assert (
                "/home/" not in path.read_text()
                and "/root/" not in path.read_text()
                and ".venv" not in path.read_text()
            )


def test_card_is_one_command_away(capsys):
    main(["card", "general"])
    assert capsys.readouterr().out == read_card("general")
    assert "all-MiniLM-L6-v2" in read_card("general")


def test_card_that_cannot_be_read_ends_in_one_line(tmp_path):
    with pytest.raises(SystemExit, match="user/absent has no model card here"):
        main(["card", "user/absent"])
    (tmp_path / "README.md").write_bytes(b"\xff")
    with pytest.raises(SystemExit, match="has a model card that is not UTF-8 .invalid start byte at byte 0"):
        main(["card", str(tmp_path)])


@needs_encoder
@pytest.mark.real_weights
class TestWithItsEncoder:
    def test_pipeline_without_a_model_orders(self):
        assert pipeline("sentence-ordering")(SHUFFLED)["sentences"] == SHUFFLED[::-1]

    def test_command_without_a_model_orders_and_says_with_what(self, tmp_path, python):
        command = [python, "-m", "sentence_ordering", "order"]
        run = subprocess.run(command, input="\n".join(SHUFFLED), capture_output=True, text=True, check=True)
        assert run.stdout.split("\n")[:3] == SHUFFLED[::-1]
        [line] = [line for line in run.stderr.splitlines() if "'general'" in line]
        assert "sentence-ordering card general" in line

    def test_saved_it_is_whole_and_works_without_the_package(self, without_package, tmp_path, python):
        model = AutoModelForSentenceOrdering.from_pretrained("general")
        model.save_pretrained(tmp_path)
        AutoTokenizer.from_pretrained(GENERAL).save_pretrained(tmp_path)
        code = without_package + (
            "from transformers import pipeline\n"
            "order = pipeline('sentence-ordering', model=sys.argv[1], trust_remote_code=True)\n"
            "print(json.dumps(order(json.loads(sys.argv[2]))['sentences']))\n"
        )
        command = [python, "-c", code, str(tmp_path), json.dumps(SHUFFLED)]
        output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
        assert json.loads(output.splitlines()[-1]) == SHUFFLED[::-1]

    def test_training_goes_on_from_it_by_name(self, stories, tmp_path):
        from transformers import TrainingArguments

        args = TrainingArguments(str(tmp_path), max_steps=1, learning_rate=0, report_to="none", use_cpu=True)
        trainer = ordering_trainer("general", args, train_dataset=stories[:8], eval_dataset=stories[8:16])
        before = trainer.model.ordering_head.projection.weight.detach().clone()
        trainer.train()
        assert trainer.model.ordering_head.projection.weight.equal(before)

    def test_its_adapter_can_be_trained_on(self, train_lora, tmp_path):
        pytest.importorskip("peft")
        train_lora("general", tmp_path / "out", lora_rank=32, max_steps=1, learning_rate=0, save_strategy="no")
        before, after = (AutoModelForSentenceOrdering.from_pretrained(name) for name in ("general", tmp_path / "out"))
        for name, weight in before.state_dict().items():
            torch.testing.assert_close(after.state_dict()[name], weight)
        adapter = json.loads((tmp_path / "out" / "adapter" / "adapter_config.json").read_text())
        assert adapter["base_model_name_or_path"] == MINILM


def test_a_card_without_metadata_is_whole(tmp_path):
    (tmp_path / "README.md").write_text("# Title\n\nIntroduction.\n\n---\n\nRest.\n")
    assert read_card(tmp_path) == "# Title\n\nIntroduction.\n\n---\n\nRest.\n"


@pytest.mark.parametrize(("program", "option"), [("order", "input"), ("score", "input"), ("evaluate", "file")])
def test_an_encoder_that_is_missing_is_told_in_one_line(program, option, tmp_path, monkeypatch):
    (tmp_path / "document.jsonl").write_text(json.dumps({"sentences": SHUFFLED}))
    monkeypatch.setattr(adapter, "PACKAGED_ENCODERS", {})
    with pytest.raises(SystemExit) as end:
        main([program, "--model", "general", f"--{option}", str(tmp_path / "document.jsonl")])
    assert str(end.value).startswith(f"The orderer general is an adapter for {MINILM}, which is not on this machine")
    assert str(end.value).endswith("or install the extra `general`, which brings it.")
    assert "\n" not in str(end.value)
