"""`ordering_trainer`: from documents and the name of an encoder to a stock Trainer in one call."""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Mapping
from typing import Any

from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict
from transformers import PreTrainedTokenizerBase, Trainer, TrainingArguments, set_seed

from ..auto import AutoModelForSentenceOrdering
from ..data import DataCollatorForSentenceOrdering, ShuffledDocuments, prepare_dataset
from ..data.preparation import as_dataset
from ..model.configuration_sentence_ordering import SentenceOrderingConfig
from ..model.encoding import load_tokenizer
from ..model.modeling_sentence_ordering import hub_keywords
from ..orderers import locate_orderer
from .callback import OrderingCallback
from .lora import add_lora, load_lora
from .metrics import metrics_for
from .precision import PreciseTrainingArguments, warn_of_slow_bfloat16

TRAINER_KEYWORDS = frozenset(inspect.signature(Trainer.__init__).parameters) - {"self"}

# Options of `TrainingArguments` that do not fit, by the value that does.
UNFIT = {
    "bf16_full_eval": (False, "it would leave the weights in half precision; `bf16` evaluates in bfloat16, too"),
    "fp16_full_eval": (False, "it would leave the weights in half precision; `fp16` evaluates in float16, too"),
    "label_smoothing_factor": (0.0, "positions are no classes"),
    "prediction_loss_only": (False, "metrics and confidence are computed from scores"),
    "eval_do_concat_batches": (True, "metrics and confidence are computed from all scores at once"),
    "batch_eval_metrics": (False, "metrics are computed from all scores at once"),
}

NOTHING = "There is nothing to train on: no document has 2 sentences or more."


def ordering_trainer(
    model: Any,
    args: TrainingArguments | None = None,
    *,
    train_dataset: Any = None,
    eval_dataset: Any = None,
    sentences_column: str = "sentences",
    positions_column: str | None = None,
    num_proc: int | None = None,
    group_by_length: bool = True,
    lora_rank: int | None = None,
    **kwargs: Any,
) -> Trainer:
    """Make a stock `transformers.Trainer` that trains an orderer; nothing of it is overridden.

    Documents are prepared, and shuffled anew in every epoch; batches are padded to their longest row; a new head is
    fitted before the first step, and confidence after the last (`OrderingCallback`); evaluation tells the metrics of
    `compute_metrics`. `trainer.save_model()` saves weights, tokenizer, code and confidence; of adapters only after
    `merge_lora(trainer)`.

    Args:
        model: A folder or Hub id of an encoder or of a saved orderer, `"general"`, or a `SentenceOrderingModel`.
        args: The Trainer's arguments, of which a copy is used: `train_sampling_strategy` becomes `"sequential"`,
            because the documents shuffle themselves, so that a run can be resumed exactly. By default those of
            `sentence-ordering train`, with `bf16` where the device computes in it; see `computes_in_bfloat16`.
        train_dataset: Documents in natural order: a `Dataset` with a column of lists of sentences, a list of lists of
            sentences, a list of dicts, or a stream (with `max_steps`; it begins again at its end, in the same order and
            with the same shuffles); or rows of `prepare_dataset`.
        eval_dataset: Held-out documents, likewise, or a dict of such.
        sentences_column: Column with the lists of sentences.
        positions_column: For documents that are shuffled already: column with the 0-based places of their sentences.
        num_proc: Number of processes that encode documents.
        group_by_length: Whether documents of similar length share a batch.
        lora_rank: Train adapters of this rank instead of the backbone (extra `lora`): new ones, or those that the
            named orderer was saved as, which must have this rank.
        **kwargs: What `Trainer` takes besides (`callbacks`, `optimizers`, `compute_metrics`, `processing_class`, ...)
            goes there. Anything else goes to `AutoModelForSentenceOrdering.from_pretrained`, if the model is named:
            fields of the configuration such as `pooling="mean"`, `attn_implementation`, `revision`, ...

    Returns:
        The trainer.

    Raises:
        TypeError: If documents are of a kind that cannot be read, a keyword is known to neither, or it is `model_init`.
        ValueError: If an option of the Trainer does not fit, no document has two sentences, or a stream comes without
            `max_steps`.

    Example:
        >>> trainer = ordering_trainer("bert-base-uncased", train_dataset=[["Tom bought a cake.", "He ate it."]] * 8)
        >>> trainer.train()
        >>> trainer.save_model("orderer")
    """
    args = copy.copy(args) if args is not None else PreciseTrainingArguments("trainer_output")
    check_arguments(args)
    warn_of_slow_bfloat16(args)
    args.train_sampling_strategy = "sequential"
    of_trainer = {name: kwargs.pop(name) for name in TRAINER_KEYWORDS & kwargs.keys()}
    if "model_init" in of_trainer:
        raise TypeError(
            "`model_init` makes a model for each trial, and here one is named. Search with `scripts/search.py`, or "
            "make the Trainer by hand, with an `OrderingCallback`."
        )
    set_seed(args.seed)  # A new head is drawn; the Trainer sets the seed, too, but later.
    named, model = model, load_model(model, lora_rank, **kwargs)
    tokenizer = of_trainer.pop("processing_class", None) or _load_tokenizer(named, hub_keywords(kwargs))
    config = model.config

    def prepare(documents: Any) -> Any:
        return _prepare(
            documents,
            tokenizer,
            config,
            sentences_column=sentences_column,
            positions_column=positions_column,
            seed=_data_seed(args),
            num_proc=num_proc,
        )

    with args.main_process_first(desc="encoding documents"):
        train_rows, eval_rows = prepare(train_dataset), prepare(eval_dataset)
    if train_rows is not None:
        group_by_length_of = args.train_batch_size if group_by_length else None
        train_rows = _shuffle(train_rows, config, args, group_by_length_of)
    defaults: dict[str, Any] = {
        "data_collator": DataCollatorForSentenceOrdering(tokenizer, config),
        "compute_metrics": metrics_for(config),
    }
    callbacks = [*(of_trainer.pop("callbacks", None) or []), OrderingCallback(eval_rows)]
    return Trainer(
        model,
        args,
        train_dataset=train_rows,
        eval_dataset=eval_rows,
        processing_class=tokenizer,
        callbacks=callbacks,
        **defaults | of_trainer,
    )


def check_arguments(args: TrainingArguments) -> None:
    """Refuse options of the stock Trainer that would go wrong.

    Args:
        args: The Trainer's arguments.

    Raises:
        ValueError: If one does not fit an orderer.
    """
    for name, (fitting, why) in UNFIT.items():
        value = getattr(args, name)
        if value != fitting:
            raise ValueError(f"`{name}={value}` cannot be used: {why}.")


def _load_tokenizer(model: Any, hub_kwargs: Mapping[str, Any]) -> PreTrainedTokenizerBase:
    """Load the tokenizer beside a model that is named, or was loaded before."""
    advice = "Pass it: `processing_class=tokenizer`."
    if isinstance(model, (str, os.PathLike)):
        return load_tokenizer(locate_orderer(model), advice, **hub_kwargs)
    return load_tokenizer(model.name_or_path, advice, **getattr(model, "loaded_from", {}))


def load_model(model: Any, lora_rank: int | None = None, **kwargs: Any) -> Any:
    """Load a named model to train, or check one that was given.

    Args:
        model: As for `ordering_trainer`.
        lora_rank: Rank of the adapters to train: those that a named orderer was saved as, or else new ones. By default
            all weights are trained.
        **kwargs: For a named model, as for `AutoModelForSentenceOrdering.from_pretrained`.

    Returns:
        The model, with adapters a `peft.PeftModel`.

    Raises:
        TypeError: If the model is neither a name nor an orderer, or keywords come with a model that is given.
        ValueError: If its weights are of 8 bits, its adapter has another rank, or new ones cannot be put beside it.

    Example:
        >>> model = load_model("general", lora_rank=32)
    """
    if isinstance(model, (str, os.PathLike)):
        adapted = None if lora_rank is None else load_lora(locate_orderer(model), lora_rank, **kwargs)
        if adapted is not None:
            return adapted
        model = AutoModelForSentenceOrdering.from_pretrained(model, **kwargs)
    elif kwargs:
        unknown = ", ".join(map(repr, sorted(kwargs)))
        raise TypeError(
            f"`Trainer` does not know {unknown}. Fields of the configuration go with the name of a model; of this one "
            "set them before."
        )
    model_type = getattr(getattr(model, "config", None), "model_type", None)
    if model_type != SentenceOrderingConfig.model_type:
        raise TypeError(
            f"The model must be a name or a SentenceOrderingModel, but is of type {type(model).__name__}. "
            "`AutoModelForSentenceOrdering.from_pretrained(name)` puts an ordering head on an encoder."
        )
    if model.config.int8:
        raise ValueError("Weights of 8 bits cannot be trained. Train the orderer from which they were rounded.")
    return model if lora_rank is None else add_lora(model, lora_rank)


def _prepare(documents: Any, tokenizer: PreTrainedTokenizerBase, config: Any, **options: Any) -> Any:
    """Turn documents in any form into rows, and leave rows as they are."""
    if documents is None or isinstance(documents, ShuffledDocuments):
        return documents
    if isinstance(documents, (DatasetDict, IterableDatasetDict)) or (
        isinstance(documents, Mapping) and not isinstance(documents, (Dataset, IterableDataset))
    ):
        return {name: _prepare(split, tokenizer, config, **options) for name, split in documents.items()}
    if isinstance(documents, (list, tuple)):
        documents = as_dataset(documents, options["sentences_column"])
    if not isinstance(documents, (Dataset, IterableDataset)):
        raise TypeError(
            "Documents come as a Dataset, a stream of `datasets`, a list of lists of sentences, or a list of dicts, "
            f"but these are of type {type(documents).__name__}."
        )
    if {"input_ids", "labels"} <= set(documents.column_names or ()):
        return documents
    return prepare_dataset(documents, tokenizer, config, **options)


def _shuffle(rows: Any, config: Any, args: TrainingArguments, group_by_length_of: int | None) -> Any:
    """Let prepared rows be shuffled anew in every epoch, and check that there is something to train on."""
    if isinstance(rows, Mapping):
        raise TypeError(f"Training takes one dataset, but got a dict of {list(rows)}. Choose a split.")
    if isinstance(rows, IterableDataset):
        if args.max_steps <= 0:
            raise ValueError("A stream has no known length: set `max_steps` in the TrainingArguments.")
        if next(iter(rows), None) is None:
            raise ValueError(NOTHING)
        # To the Trainer a stream is one epoch, and a resumed run skips steps in that one only. So it must not end.
        return rows.repeat(None)
    if len(rows) == 0:
        raise ValueError(NOTHING)
    if isinstance(rows, ShuffledDocuments):
        return rows
    return ShuffledDocuments(rows, config, seed=_data_seed(args), group_by_length_of=group_by_length_of)


def _data_seed(args: TrainingArguments) -> int:
    return args.seed if args.data_seed is None else args.data_seed
