"""bfloat16 where the device computes in it, float32 elsewhere."""

import pytest
import torch
from transformers import TrainingArguments

from sentence_ordering import ordering_trainer
from sentence_ordering.commands import train
from sentence_ordering.training import precision
from sentence_ordering.training.precision import PreciseTrainingArguments, computes_in_bfloat16


@pytest.fixture
def device(monkeypatch):
    """Pretend that there is no GPU, and a processor with some instructions."""

    def pretend(*instructions):
        names = {"avx2", "avx512_bf16", "amx_bf16", *instructions}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {name: name in instructions for name in names})
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    return pretend


@pytest.fixture
def warnings(monkeypatch):
    messages = []
    monkeypatch.setattr(precision.logger, "warning_once", messages.append)
    return messages


@pytest.mark.parametrize(
    ("instructions", "computes"),
    [((), False), (("avx2",), False), (("avx2", "avx512_bf16"), True), (("avx2", "amx_bf16"), True)],
)
def test_processor_is_asked_for_its_instructions(instructions, computes, device, tmp_path):
    device(*instructions)
    assert computes_in_bfloat16("cpu") is computes
    assert PreciseTrainingArguments(str(tmp_path)).bf16 is computes


@pytest.mark.parametrize("computes", [False, True])
def test_gpu_that_only_emulates_bfloat16_does_not_compute_in_it(computes, monkeypatch):
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or computes
    )
    assert computes_in_bfloat16("cuda:0") is computes


def test_processor_of_another_kind_without_these_instructions_trains_in_float32(device, monkeypatch):
    device()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"neon": True, "architecture": "aarch64"})
    assert computes_in_bfloat16("cpu") is False


@pytest.mark.parametrize("asked", [False, True])
def test_what_is_asked_for_is_done_without_a_gpu(asked, device, tmp_path):
    device("avx2")
    arguments = PreciseTrainingArguments(str(tmp_path), bf16=asked)
    assert (arguments.bf16, arguments.mixed_precision) == (asked, "bf16" if asked else "no")


def test_half_precision_of_the_other_kind_is_left_alone(device, tmp_path):
    device("avx2", "amx_bf16")
    assert PreciseTrainingArguments(str(tmp_path), fp16=True).bf16 is False


def test_slow_bfloat16_is_warned_of_with_the_factor(device, warnings, encoder_folder, stories, tmp_path):
    device("avx2")
    arguments = TrainingArguments(str(tmp_path), bf16=True, use_cpu=True, report_to="none")
    ordering_trainer(str(encoder_folder), arguments, train_dataset=stories[:4])
    [message] = warnings
    assert "about 5 times as long as in float32" in message


@pytest.mark.parametrize(("instructions", "asked"), [(("avx2",), False), (("avx2", "amx_bf16"), True)])
def test_what_suits_the_processor_is_not_warned_of(
    instructions, asked, device, warnings, encoder_folder, stories, tmp_path
):
    device(*instructions)
    arguments = TrainingArguments(str(tmp_path), bf16=asked, use_cpu=True, report_to="none")
    ordering_trainer(str(encoder_folder), arguments, train_dataset=stories[:4])
    assert warnings == []


@pytest.mark.parametrize(("instructions", "bf16"), [(("avx2",), False), (("avx2", "amx_bf16"), True)])
def test_program_trains_in_what_suits_the_processor(instructions, bf16, device, monkeypatch, encoder_folder, tmp_path):
    device(*instructions)
    trainers = []
    monkeypatch.setattr(train, "run", lambda trainer, *others: trainers.append(trainer))
    train.main(["--model", str(encoder_folder), "--dataset", "bigbench_narratives", "--output_dir", str(tmp_path)])
    assert trainers[0].args.bf16 is bf16
    assert trainers[0].accelerator.mixed_precision == ("bf16" if bf16 else "no")


def test_trainer_without_arguments_trains_as_the_program_does(device, encoder_folder, stories, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    device("avx2", "amx_bf16")
    assert ordering_trainer(str(encoder_folder), train_dataset=stories[:4]).args.bf16 is True


def test_memory_is_not_pinned_for_a_device_that_is_not_there(device, tmp_path):
    device()
    assert PreciseTrainingArguments(str(tmp_path), dataloader_pin_memory=True).dataloader_pin_memory is False
