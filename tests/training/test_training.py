"""The stock Trainer on our model and data."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
import torch
from datasets import Dataset
from transformers import (
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    EarlyStoppingCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from sentence_ordering import (
    AutoModelForSentenceOrdering,
    DataCollatorForSentenceOrdering,
    ShuffledDocuments,
    compute_metrics,
    prepare_dataset,
)
from sentence_ordering.data import load_documents
from sentence_ordering.training.calibration import fit_confidence


class KillAt(TrainerCallback):
    """Kills the process like a power cut, some steps behind a checkpoint in the middle of an epoch."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def make_trainer(encoder, output, documents, callbacks=(), fields=None, **arguments):
    set_seed(0)
    model = AutoModelForSentenceOrdering.from_pretrained(encoder, **(fields or {}))
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    prepared = prepare_dataset(documents, tokenizer, model.config)
    defaults = {
        "output_dir": str(output),
        "train_sampling_strategy": "sequential",
        "per_device_train_batch_size": 4,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    arguments = TrainingArguments(**defaults | arguments)
    return Trainer(
        model,
        arguments,
        train_dataset=ShuffledDocuments(prepared, model.config, group_by_length_of=4),
        eval_dataset=prepared.select(range(20)),
        data_collator=DataCollatorForSentenceOrdering(tokenizer, model.config),
        processing_class=tokenizer,
        compute_metrics=compute_metrics,
        callbacks=list(callbacks),
    )


def make_resumable_trainer(encoder, output, workers, callbacks=()):
    """Two epochs of eight steps of two batches; checkpoints every three steps."""
    documents = load_documents("bigbench_narratives")["train"].select(range(62))
    return make_trainer(
        encoder,
        output,
        documents,
        callbacks,
        num_train_epochs=2,
        gradient_accumulation_steps=2,
        save_steps=3,
        learning_rate=1e-3,
        dataloader_num_workers=workers,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    make_resumable_trainer(sys.argv[1], sys.argv[2], int(sys.argv[3]), [KillAt(13)]).train()


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_and_resumed_run_ends_with_bit_equal_weights(workers, encoder_folder, tmp_path, python):
    uninterrupted = make_resumable_trainer(encoder_folder, tmp_path / "whole", workers)
    uninterrupted.train()
    assert uninterrupted.state.global_step == 16

    output = tmp_path / "killed"
    command = [python, __file__, str(encoder_folder), str(output), str(workers)]
    assert subprocess.run(command, capture_output=True).returncode == -signal.SIGKILL
    assert sorted(path.name for path in output.glob("checkpoint-*")) == [f"checkpoint-{n}" for n in (12, 3, 6, 9)]
    resumed = make_resumable_trainer(encoder_folder, output, workers)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == 16
    for name, weight in uninterrupted.model.state_dict().items():
        assert resumed.model.state_dict()[name].equal(weight), name


def test_model_learns_an_order_that_can_be_read_off(encoder_folder, counted, tmp_path):
    documents = Dataset.from_dict({"sentences": counted})
    trainer = make_trainer(
        encoder_folder,
        tmp_path,
        documents,
        fields={"pooling": "mean"},
        num_train_epochs=20,
        per_device_train_batch_size=16,
        learning_rate=3e-3,
    )
    assert trainer.evaluate()["eval_kendall_tau"] < 0.5
    trainer.train()
    assert trainer.evaluate()["eval_kendall_tau"] > 0.8


def test_accumulated_steps_equal_whole_ones(encoder_folder, documents, tmp_path):
    def train(batch_size, accumulation):
        trainer = make_trainer(
            encoder_folder,
            tmp_path,
            documents,
            per_device_train_batch_size=batch_size,
            gradient_accumulation_steps=accumulation,
            optim="sgd",
            max_grad_norm=0,
            max_steps=3,
            logging_steps=1,
        )
        for dropout in (module for module in trainer.model.modules() if isinstance(module, torch.nn.Dropout)):
            dropout.p = 0.0
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        return losses, trainer.model.state_dict()

    losses, weights = train(batch_size=8, accumulation=1)
    accumulated_losses, accumulated = train(batch_size=4, accumulation=2)
    assert accumulated_losses == pytest.approx(losses, rel=1e-4)
    for name, weight in weights.items():
        torch.testing.assert_close(accumulated[name], weight, atol=1e-6, rtol=1e-5)


def test_early_stopping_best_model_and_saving_work(encoder_folder, documents, tmp_path):
    trainer = make_trainer(
        encoder_folder,
        tmp_path,
        documents,
        [EarlyStoppingCallback(early_stopping_patience=1)],
        num_train_epochs=50,
        learning_rate=0.0,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="kendall_tau",
    )
    trainer.train()
    assert trainer.state.epoch == 2
    trainer.save_model()
    loaded = AutoModelForSentenceOrdering.from_pretrained(tmp_path)
    assert all(loaded.state_dict()[name].equal(weight) for name, weight in trainer.model.state_dict().items())
    assert AutoTokenizer.from_pretrained(tmp_path).cls_token == "[CLS]"


def test_saved_model_trains_on_with_the_loss_it_was_saved_with(encoder_folder, documents, tmp_path):
    first = make_trainer(encoder_folder, tmp_path / "1", documents, fields={"scale_positions": True}, max_steps=2)
    first.train()
    first.save_model()
    second = make_trainer(tmp_path / "1", tmp_path / "2", documents)
    assert second.model.config.scale_positions
    assert second.evaluate()["eval_loss"] == pytest.approx(first.evaluate()["eval_loss"], rel=1e-6)


@pytest.mark.parametrize(("arguments", "rel"), [({"bf16": True}, 0.02), ({"activation_checkpointing": True}, 1e-5)])
def test_stock_options_train_to_the_same_losses(arguments, rel, encoder_folder, documents, tmp_path):
    def train(**arguments):
        torch.manual_seed(0)
        trainer = make_trainer(encoder_folder, tmp_path, documents, max_steps=2, logging_steps=1, **arguments)
        trainer.train()
        return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]

    plain = train()
    assert len(plain) == 2
    assert train(**arguments) == pytest.approx(plain, rel=rel)


def test_tensorboard_receives_loss_and_metrics(encoder_folder, documents, tmp_path):
    arguments = {"max_steps": 2, "logging_steps": 1, "eval_strategy": "steps", "report_to": "tensorboard"}
    make_trainer(encoder_folder, tmp_path, documents, **arguments).train()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    [folder] = {path.parent for path in tmp_path.rglob("events.out.tfevents.*")}
    events = EventAccumulator(str(folder)).Reload()
    assert {"train/loss", "eval/kendall_tau"} <= set(events.Tags()["scalars"])


def test_trackio_receives_loss_and_metrics_on_this_disk(encoder_folder, documents, tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio", exc_type=ImportError)
    arguments = {"max_steps": 2, "logging_steps": 1, "eval_strategy": "steps", "report_to": "trackio", "project": "p"}
    make_trainer(encoder_folder, tmp_path, documents, **arguments).train()
    with closing(sqlite3.connect(tmp_path / "trackio" / "p.db")) as database:
        logged = {name for (row,) in database.execute("SELECT metrics FROM metrics") for name in json.loads(row)}
    assert {"train/loss", "eval/kendall_tau"} <= logged


def test_stock_collator_trains_on_prepared_rows(encoder_folder, documents, tmp_path):
    trainer = make_trainer(encoder_folder, tmp_path, documents, max_steps=2)
    prepared = prepare_dataset(documents, trainer.processing_class, trainer.model.config)
    stock = Trainer(
        trainer.model,
        TrainingArguments(str(tmp_path), max_steps=2, report_to="none", use_cpu=True, disable_tqdm=True),
        train_dataset=prepared,
        eval_dataset=prepared,
        data_collator=DataCollatorForSeq2Seq(trainer.processing_class),
        compute_metrics=compute_metrics,
    )
    stock.train()
    assert stock.evaluate()["eval_documents"] == 60


def test_predictions_are_one_array_when_hidden_states_are_asked_for(encoder_folder, documents, tmp_path):
    trainer = make_trainer(encoder_folder, tmp_path, documents, per_device_eval_batch_size=7)
    trainer.model.config.backbone_config.output_hidden_states = True
    assert trainer.predict(trainer.eval_dataset).predictions.shape[0] == 20


def test_unlabelled_rows_are_predicted_in_their_order(encoder_folder, documents, tmp_path):
    trainer = make_trainer(encoder_folder, tmp_path, documents, per_device_eval_batch_size=7)
    prepared = prepare_dataset(documents, trainer.processing_class, trainer.model.config)
    labelled = trainer.predict(prepared)
    unlabelled = trainer.predict(prepared.remove_columns("labels"))
    assert unlabelled.label_ids is None
    assert unlabelled.predictions == pytest.approx(labelled.predictions, abs=1e-5)
    assert (unlabelled.predictions == -100).sum() == (labelled.label_ids == -100).sum()


def test_batches_that_are_not_joined_give_the_same_metrics_and_slope(encoder_folder, documents, tmp_path):
    def evaluate(**arguments):
        trainer = make_trainer(encoder_folder, tmp_path, documents, per_device_eval_batch_size=3, **arguments)
        return trainer.evaluate(), fit_confidence(trainer.predict(trainer.eval_dataset))

    (joined, slope), (metrics, other) = evaluate(), evaluate(eval_do_concat_batches=False)
    assert other == slope
    for name in ("kendall_tau", "pmr", "mse", "documents"):
        assert metrics[f"eval_{name}"] == joined[f"eval_{name}"]


def test_metrics_of_single_batches_are_refused_with_one_clear_line(encoder_folder, documents, tmp_path):
    with pytest.raises(ValueError, match="`compute_metrics` function must take a `compute_result`"):
        make_trainer(encoder_folder, tmp_path, documents, batch_eval_metrics=True)
