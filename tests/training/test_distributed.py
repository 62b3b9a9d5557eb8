"""Two processes (gloo) that train like one: started by the tests with torchrun, this file is also their program."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from accelerate import PartialState
from accelerate.utils import DistributedType
from safetensors.torch import load_file
from transformers import AutoTokenizer, Trainer, TrainerCallback, TrainingArguments, set_seed

from sentence_ordering import (
    AutoModelForSentenceOrdering,
    DataCollatorForSentenceOrdering,
    OrderingCallback,
    ShuffledDocuments,
    prepare_dataset,
)
from sentence_ordering.commands.train import main
from sentence_ordering.data import load_documents
from sentence_ordering.training.lora import add_lora, merge_lora

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
EPOCHS = 2
BATCH_SIZE = 4


class RecordingCollator(DataCollatorForSentenceOrdering):
    """Keeps what it was given: for each document its tokens in a fixed order, and in that of the batch."""

    def __call__(self, rows):
        if torch.is_grad_enabled():  # The head and confidence are fitted without.
            self.seen += [(str(sorted(row["input_ids"])), str(row["input_ids"])) for row in rows]
        return super().__call__(rows)


class StopAt(TrainerCallback):
    """Ends training at a step."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step == self.step


def train(encoder, output, count=32, *, callbacks=(), lora_rank=None, resume=None, **arguments):
    """Train on some documents; write what this process saw, and the weights."""
    set_seed(0)
    model = AutoModelForSentenceOrdering.from_pretrained(encoder)
    for dropout in (module for module in model.modules() if isinstance(module, torch.nn.Dropout)):
        dropout.p = 0.0  # Processes draw different ones.
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    documents = load_documents("bigbench_narratives")["train"].select(range(count))
    rows = prepare_dataset(documents, tokenizer, model.config)
    collator = RecordingCollator(tokenizer, model.config)
    collator.seen = []
    args = TrainingArguments(
        str(output),
        train_sampling_strategy="sequential",
        per_device_train_batch_size=BATCH_SIZE,
        num_train_epochs=EPOCHS,
        learning_rate=1e-3,
        adam_epsilon=1e-3,  # So that a gradient of nearly zero, which rounding turns around, moves nothing.
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        **{"save_strategy": "no"} | arguments,
    )
    if args.fsdp:
        assert args.device.type == "cpu"
        # Accelerate shards on accelerators only, but by code that works on any device.
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    trainer = Trainer(
        model if lora_rank is None else add_lora(model, lora_rank),
        args,
        train_dataset=ShuffledDocuments(rows, model.config, group_by_length_of=BATCH_SIZE),
        data_collator=collator,
        callbacks=[OrderingCallback(rows.select(range(20))), *callbacks],
    )
    trainer.train(resume_from_checkpoint=resume)
    if lora_rank is not None:
        merge_lora(trainer)
    trainer.save_model()
    rank = os.environ.get("RANK", "0")
    (output / f"seen-{rank}.json").write_text(json.dumps(collator.seen))


def run_command(encoder, output):
    """Run the program that trains, on files, without dropout."""
    no_dropout = {"hidden_dropout_prob": 0, "attention_probs_dropout_prob": 0}
    files = [f"--{split}_file={output.parent / split}.jsonl" for split in ("train", "validation")]
    options = {
        "model": encoder,
        "encoder_options": json.dumps(no_dropout),
        "output_dir": output,
        "per_device_train_batch_size": BATCH_SIZE,
        "max_steps": 6,
        "learning_rate": 1e-3,
        "adam_epsilon": 1e-3,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    if "RANK" not in os.environ:
        options["gradient_accumulation_steps"] = 2
    main([*files, *(f"--{name}={value}" for name, value in options.items())])


def shard_on_cpu():
    """Let accelerate shard, which it does on accelerators only, but by code that works on any device."""
    initialize = PartialState.__init__

    def pretend(self, *args, **kwargs):
        initialize(self, *args, **kwargs)
        if self.distributed_type == DistributedType.MULTI_CPU:
            self._shared_state["distributed_type"] = DistributedType.MULTI_GPU

    PartialState.__init__ = pretend


if __name__ == "__main__":
    torch.set_num_threads(1)
    encoder, output, way = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    if way == "ddp":
        train(encoder, output / "32", 32)
        train(encoder, output / "29", 29)
    elif way == "command":
        shard_on_cpu()
        run_command(encoder, output / "sharded")
        assert PartialState().distributed_type == DistributedType.FSDP
    else:
        fsdp = {"fsdp": True, "fsdp_config": {"version": 2, "transformer_layer_cls_to_wrap": ["BertLayer"]}}
        train(encoder, output / "whole", **fsdp)
        train(encoder, output / "cut", callbacks=[StopAt(5)], save_strategy="steps", save_steps=5, **fsdp)
        train(encoder, output / "cut", resume=True, **fsdp)
        train(encoder, output / "lora", lora_rank=2, **fsdp)


TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def launch(python, way, encoder_folder, output, launcher=TORCHRUN):
    """Run this program in two processes."""
    command = [python, "-m", *launcher, __file__, str(encoder_folder), str(output), way]
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHON_EXEC": python})
    assert run.returncode == 0, run.stderr
    return output


@pytest.fixture(scope="module")
def one(encoder_folder, tmp_path_factory):
    """What one process makes of the same batches, with adapters and without."""
    output = tmp_path_factory.mktemp("one")
    train(encoder_folder, output / "whole", gradient_accumulation_steps=2)
    pytest.importorskip("peft")
    train(encoder_folder, output / "lora", lora_rank=2, gradient_accumulation_steps=2)
    return output


@pytest.fixture(scope="module")
def sharded(python, encoder_folder, tmp_path_factory):
    """What two processes make that hold a shard of the model each."""
    return launch(python, "fsdp", encoder_folder, tmp_path_factory.mktemp("fsdp"))


def assert_same_orderer(folder, expected, atol=1e-6):
    """Check that two folders hold the same weights and confidence."""
    weights, other = (load_file(path / "model.safetensors") for path in (folder, expected))
    assert weights.keys() == other.keys()
    for name, weight in other.items():
        torch.testing.assert_close(weights[name], weight, atol=atol, rtol=1e-5, msg=lambda text: f"{name}: {text}")  # noqa: B023
    slopes = [json.loads((path / "config.json").read_text())["confidence_slope"] for path in (folder, expected)]
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-3)


@pytest.mark.slow
def test_two_processes_see_every_document_once_an_epoch_and_train_like_one(python, encoder_folder, one, tmp_path):
    launch(python, "ddp", encoder_folder, tmp_path)

    def seen(count):
        """For each epoch the documents of each process."""
        ranks = [json.loads((tmp_path / f"{count}" / f"seen-{rank}.json").read_text()) for rank in range(2)]
        size = len(ranks[0]) // EPOCHS
        return [[rows[epoch * size : epoch * size + size] for rows in ranks] for epoch in range(EPOCHS)]

    epochs = [[Counter(document for document, _ in rows) for rows in ranks] for ranks in seen(32)]
    for ranks in epochs:
        assert [rows.total() for rows in ranks] == [16, 16]
        assert set((ranks[0] + ranks[1]).values()) == {1} and len(ranks[0] + ranks[1]) == 32
    assert epochs[0] != epochs[1]
    shuffles = [{order for rows in ranks for _, order in rows} for ranks in seen(32)]
    assert len(shuffles[0] & shuffles[1]) < 16

    # The last batches of a number that does not divide are filled up with documents of the first.
    for ranks in seen(29):
        times = Counter(document for rows in ranks for document, _ in rows)
        assert (len(times), times.total()) == (29, 32)

    assert_same_orderer(tmp_path / "32", one / "whole")


@pytest.mark.slow
def test_shards_train_like_one_process_with_its_head_and_confidence(sharded, one):
    assert_same_orderer(sharded / "whole", one / "whole")


@pytest.mark.slow
def test_shards_resume_to_the_weights_of_an_undisturbed_run(sharded):
    assert (sharded / "cut" / "checkpoint-5" / "optimizer.bin").exists()
    assert_same_orderer(sharded / "cut", sharded / "whole")


@pytest.mark.slow
def test_shards_are_saved_as_a_plain_orderer(sharded):
    loaded, info = AutoModelForSentenceOrdering.from_pretrained(sharded / "whole", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert torch.isfinite(loaded(torch.tensor([[1, 7, 8, 1, 9]])).logits).all()


@pytest.mark.slow
def test_adapters_of_shards_are_merged_like_those_of_one_process(sharded, one):
    # Adapters are rounded to bfloat16, and a last bit may fall on either side.
    assert_same_orderer(sharded / "lora", one / "lora", atol=1e-4)
    adapter = load_file(sharded / "lora" / "adapter" / "adapter_model.safetensors")
    assert {weight.dtype for name, weight in adapter.items() if ".lora_" in name} == {torch.bfloat16}


@pytest.mark.slow
def test_command_of_the_docs_trains_shards_like_one_process(python, encoder_folder, stories, tmp_path):
    [settings] = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "fsdp2.yaml").write_text(settings.replace("RobertaLayer", "BertLayer"))
    for split, documents in (("train", stories[:24]), ("validation", stories[24:32])):
        lines = [json.dumps({"sentences": sentences}) + "\n" for sentences in documents]
        (tmp_path / f"{split}.jsonl").write_text("".join(lines))
    launcher = ("accelerate.commands.launch", "--config_file", str(tmp_path / "fsdp2.yaml"))
    launch(python, "command", encoder_folder, tmp_path, launcher)
    run_command(encoder_folder, tmp_path / "one")
    assert_same_orderer(tmp_path / "sharded", tmp_path / "one")
    assert (tmp_path / "sharded" / "eval_results.json").exists()
