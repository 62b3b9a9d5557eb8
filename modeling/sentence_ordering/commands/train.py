"""Train an orderer with the stock Trainer.

    sentence-ordering train configuration/quickstart.yaml --output_dir output/mine --num_train_epochs 3

A YAML file holds options, and the command line overrides them. Those of `TrainingArguments` work, but for the
few in `UNFIT`, which are refused.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..training.lora import add_lora, merge_lora
from .arguments import parse_arguments
from .train_arguments import DEFAULTS, MINILM, DataArguments, ModelArguments, check_options, check_resumable

if TYPE_CHECKING:
    from datasets import DatasetDict
    from transformers import Trainer, TrainerCallback, TrainingArguments


def main(argv: list[str] | None = None) -> None:
    """Train, save the model with its card, and print its metrics beside those before fine-tuning and of random orders.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    from transformers import TrainingArguments, set_seed

    from ..training.calibration import fit_confidence

    model_args, data_args, training_args = parse_arguments(
        (ModelArguments, DataArguments, TrainingArguments),
        argv,
        "train",
        __doc__,
        DEFAULTS,
    )
    try:
        set_seed(training_args.seed)
        check_resumable(training_args)
        corpus = data_args.load()
        trainer = make_trainer(model_args, data_args, training_args, corpus)
    except (ImportError, OSError, TypeError, ValueError) as error:
        sys.exit(str(error))
    if data_args.dry_run:
        from .dry_run import describe_run

        print(describe_run(trainer))
        return
    validation: Any = trainer.eval_dataset
    before: Any = None if validation is None else trainer.predict(validation, metric_key_prefix="eval")
    trainer.train(resume_from_checkpoint=training_args.resume_from_checkpoint)
    if model_args.lora_rank is not None:
        merge_lora(trainer)
    trainer.save_model()  # Before anything else can go wrong.
    trainer.save_state()
    try:
        after: Any = None if validation is None else trainer.predict(validation, metric_key_prefix="eval")
    except ValueError as error:  # A model that diverged has no metrics.
        sys.exit(f"{error} The model as it is was saved in {training_args.output_dir}.")
    if after is not None:
        trainer.accelerator.unwrap_model(trainer.model).config.confidence_slope = fit_confidence(after)
        trainer.save_model()
    if trainer.is_world_process_zero():
        report_results(trainer, model_args, data_args, corpus, before, after)


def make_trainer(
    model_args: ModelArguments, data_args: DataArguments, training_args: TrainingArguments, corpus: DatasetDict
) -> Trainer:
    """Load the model, encode the documents, and hand both to a stock Trainer."""
    from transformers import AutoTokenizer, Trainer

    from ..data import DataCollatorForSentenceOrdering, ShuffledDocuments, prepare_dataset
    from ..training.metrics import metrics_for

    check_options(training_args)
    callbacks = make_callbacks(data_args, training_args)
    model: Any = model_args.load()
    tokenizer = AutoTokenizer.from_pretrained(model_args.name)
    with training_args.main_process_first(desc="encoding documents"):
        documents = prepare_dataset(
            corpus,
            tokenizer,
            model.config,
            sentences_column=data_args.sentences_column,
            positions_column=data_args.positions_column,
            seed=training_args.seed,
            num_proc=data_args.num_proc,
        )
    if len(documents["train"]) == 0:
        raise ValueError("There is nothing to train on: no document has 2 sentences or more.")
    collator = DataCollatorForSentenceOrdering(tokenizer, model.config)
    model = start_model(model, model_args, training_args, [] if data_args.dry_run else documents["train"], collator)
    validation = documents.get("validation")
    group_by_length_of = training_args.train_batch_size if data_args.group_by_length else None
    return Trainer(
        model,
        training_args,
        train_dataset=ShuffledDocuments(
            documents["train"], model.config, seed=training_args.seed, group_by_length_of=group_by_length_of
        ),
        eval_dataset=validation if validation is not None and len(validation) else None,
        data_collator=collator,
        processing_class=tokenizer,
        compute_metrics=metrics_for(model.config),
        callbacks=callbacks,
    )


def make_callbacks(data_args: DataArguments, training_args: TrainingArguments) -> list[TrainerCallback]:
    """Make what stops training early, if that is wanted."""
    from transformers import EarlyStoppingCallback

    if data_args.early_stopping_patience is None:
        return []
    if training_args.metric_for_best_model is None or training_args.eval_strategy == "no":
        raise ValueError(
            "`--early_stopping_patience` compares evaluations. Add `--eval_strategy epoch --save_strategy epoch "
            "--load_best_model_at_end --metric_for_best_model kendall_tau`."
        )
    return [EarlyStoppingCallback(data_args.early_stopping_patience)]


def start_model(
    model: Any, model_args: ModelArguments, training_args: TrainingArguments, rows: Any, collator: Any
) -> Any:
    """Make a loaded orderer ready for its first step: fit a new head to the rows, and add adapters if wanted."""
    from ..training.linear_probe import fit_head

    model.config.confidence_slope = None  # An earlier training's; it does not hold for what comes of this one.
    if not model_args.has_head():
        fit_head(model.to(training_args.device), rows, collator)
    return model if model_args.lora_rank is None else add_lora(model, model_args.lora_rank)


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
        backbone=MINILM if model_args.model is None else None,
    )
    if after is not None:
        trainer.save_metrics("eval", after.metrics)
        random = random_metrics(after.label_ids, trainer.args.seed)
        print(format_metrics({"random orders": random, "before fine-tuning": before.metrics, "trained": after.metrics}))
