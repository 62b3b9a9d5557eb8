"""Train an orderer with the stock Trainer.

    sentence-ordering train configuration/quickstart.yaml --output_dir output/mine --num_train_epochs 3

A YAML file holds options, and the command line overrides them. Those of `TrainingArguments` work, but for a few that
do not fit an orderer and are refused. Training runs under bfloat16 autocast where the device computes in bfloat16, and
in float32 elsewhere; `--bf16` chooses.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .arguments import parse_arguments
from .train_arguments import DataArguments, ModelArguments, check_resumable

if TYPE_CHECKING:
    from datasets import DatasetDict
    from transformers import Trainer, TrainerCallback, TrainingArguments


def main(argv: list[str] | None = None) -> None:
    """Train, save the model with its card, and print its metrics beside those before fine-tuning and of random orders.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    from ..training.precision import PreciseTrainingArguments

    types = (ModelArguments, DataArguments, PreciseTrainingArguments)
    model_args, data_args, training_args = parse_arguments(types, argv, "train", __doc__)
    try:
        check_resumable(training_args)
        corpus = data_args.load()
        trainer = make_trainer(model_args, data_args, training_args, corpus)
    except (ImportError, OSError, TypeError, ValueError) as error:
        sys.exit(str(error))
    run(trainer, model_args, data_args, corpus)


def run(trainer: Trainer, model_args: ModelArguments, data_args: DataArguments, corpus: DatasetDict) -> None:
    """Train, save, and measure before and after; or with `--dry_run` only say what would be trained."""
    if data_args.dry_run:
        from .dry_run import describe_run

        print(describe_run(trainer))
        return

    from ..training.callback import fit_new_head
    from ..training.lora import merge_lora

    fit_new_head(trainer.model, trainer.get_train_dataloader())  # So that what was before is a fitted head's, too.
    validation: Any = trainer.eval_dataset
    # With FSDP2 accelerate shards a model only together with its optimizer, which training makes.
    measurable = validation is not None and not trainer.is_fsdp_enabled
    before: Any = trainer.predict(validation, metric_key_prefix="eval") if measurable else None
    trainer.train(resume_from_checkpoint=trainer.args.resume_from_checkpoint)
    if model_args.lora_rank is not None:
        merge_lora(trainer)
    trainer.save_model()  # Before anything else can go wrong.
    trainer.save_state()
    try:
        after: Any = None if validation is None else trainer.predict(validation, metric_key_prefix="eval")
    except ValueError as error:  # Scores are not finite: training has diverged.
        sys.exit(f"The orderer was saved in {trainer.args.output_dir}, but not measured: {error}")
    if trainer.is_world_process_zero():
        report_results(trainer, model_args, data_args, corpus, before, after)


def make_trainer(
    model_args: ModelArguments, data_args: DataArguments, training_args: TrainingArguments, corpus: DatasetDict
) -> Trainer:
    """Make the stock Trainer of the named model and corpus."""
    from ..training.trainer import ordering_trainer

    return ordering_trainer(
        model_args.name,
        training_args,
        train_dataset=corpus["train"],
        eval_dataset=data_args.validation_of(corpus),
        sentences_column=data_args.sentences_column,
        positions_column=data_args.positions_column,
        num_proc=data_args.num_proc,
        group_by_length=data_args.group_by_length,
        lora_rank=model_args.lora_rank,
        callbacks=make_callbacks(model_args, data_args, training_args),
        **model_args.keywords(),
    )


def make_callbacks(
    model_args: ModelArguments, data_args: DataArguments, training_args: TrainingArguments
) -> list[TrainerCallback]:
    """Make what weakens adapters, and what stops training early, if that is wanted."""
    from transformers import EarlyStoppingCallback

    from ..training.lora import WeakenAdapters

    callbacks: list[TrainerCallback] = []
    if model_args.lora_strength is not None:
        callbacks.append(WeakenAdapters(model_args.lora_strength))
    if data_args.early_stopping_patience is not None:
        if training_args.metric_for_best_model is None or training_args.eval_strategy == "no":
            raise ValueError(
                "`--early_stopping_patience` compares evaluations. Add `--eval_strategy epoch --save_strategy epoch "
                "--load_best_model_at_end --metric_for_best_model kendall_tau`."
            )
        callbacks.append(EarlyStoppingCallback(data_args.early_stopping_patience))
    return callbacks


def report_results(
    trainer: Trainer, model_args: ModelArguments, data_args: DataArguments, corpus: DatasetDict, before: Any, after: Any
) -> None:
    """Write the model card, and if there was a validation split save and print the metrics on it."""
    from ..training.metrics import random_metrics
    from ..training.model_card import write_model_card
    from .console import format_metrics

    natural = "validation" in corpus and data_args.positions_column is None
    documents = corpus["validation"][data_args.sentences_column] if natural else []
    write_model_card(
        trainer,
        str(trainer.args.output_dir),
        evaluation=after,
        split=data_args.validation_split or "validation",
        example=next((sentences for sentences in documents if len(sentences) >= 2), None),
        dataset=data_args.dataset,
    )
    if after is not None:
        trainer.save_metrics("eval", after.metrics)
        random = random_metrics(after.label_ids, trainer.args.seed)
        measured = {"before fine-tuning": before, "trained": after}
        metrics = {name: output.metrics for name, output in measured.items() if output is not None}
        print(format_metrics({"random orders": random} | metrics))
