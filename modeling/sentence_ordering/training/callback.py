"""What an orderer needs around its training: a fitted head before the first step, fitted confidence after the last."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader, IterableDataset
from transformers import EvalPrediction, TrainerCallback
from transformers.utils import logging

from ..data import ShuffledDocuments
from .calibration import fit_confidence
from .linear_probe import find_head, fit_head, spread

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

logger = logging.get_logger(__name__)

# Held-out documents that confidence is fitted on: more would hardly change one number.
CONFIDENCE_DOCUMENTS = 2000
# Documents of a stream that a new head is fitted to.
STREAMED_DOCUMENTS = 512


class OrderingCallback(TrainerCallback):
    """Fits a new head before the first step, and confidence after the last; for any stock `Trainer`.

    A head that was loaded or trained is never fitted again, neither by a resumed run. The confidence of an earlier
    training is dropped when training begins, because it does not hold for what comes of it. With
    `load_best_model_at_end` confidence is that of the best weights. In a distributed run each process reads the same
    documents and finds the same values.

    Args:
        eval_dataset: Held-out rows of `prepare_dataset`, or a dict of such datasets, to fit confidence on. By default
            what the trainer has evaluated on last; without either the orderer tells no confidence.

    Example:
        >>> trainer = Trainer(model, args, train_dataset=rows, data_collator=collator, callbacks=[OrderingCallback()])
    """

    def __init__(self, eval_dataset: Any = None) -> None:
        self.eval_dataset = eval_dataset

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Drop the confidence of an earlier training, and fit the head if it is new.

        Raises:
            ValueError: If the run is resumed from a checkpoint in which all steps are made, and would make another.
        """
        # The Trainer makes a step before it asks whether all are made, unless no epoch is left to begin.
        if state.global_step >= state.max_steps and (state.epoch or 0) < state.num_train_epochs:
            raise ValueError(all_steps_made(state.global_step, f"{args.output_dir}/checkpoint-{state.global_step}"))
        model = kwargs["model"]
        model.config.confidence_slope = None
        fit_new_head(model, kwargs["train_dataloader"])

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Fit confidence on held-out documents, if there are any."""
        model, evaluated = kwargs["model"], kwargs["eval_dataloader"]
        dataset = self.eval_dataset
        if dataset is None and evaluated is not None:
            dataset = evaluated.dataset
        if dataset is None:
            logger.warning("There are no held-out documents to fit confidence on: answers will tell none.")
            return
        rows = list(_choose_rows(dataset))
        prediction = _predict(model, rows, kwargs["train_dataloader"].collate_fn, args.eval_batch_size)
        model.config.confidence_slope = fit_confidence(prediction)


def all_steps_made(steps: int, checkpoint: str | os.PathLike[str]) -> str:
    """Say why a run is not resumed from a checkpoint behind its last step, and what to do instead."""
    return (
        f"All {steps} steps are in {checkpoint} already, and the Trainer would make one too many. Resume from an "
        "earlier checkpoint, train for more steps, or use the orderer in that folder."
    )


def fit_new_head(model: Any, train_dataloader: DataLoader[Any]) -> None:
    """Fit the head of an orderer to its training documents, if it is new.

    Args:
        model: The orderer, with adapters or without, in evaluation or training mode.
        train_dataloader: The trainer's.

    Raises:
        ValueError: If it is new, but would not be saved with the adapters of the model.
    """
    head = find_head(model)
    if not head.is_new:
        return
    if hasattr(model, "peft_config") and not head.projection.weight.requires_grad:
        raise ValueError(
            "The new ordering head is frozen, and would not be saved with the adapters. Give peft's configuration "
            '`modules_to_save=["ordering_head"]`.'
        )
    documents: Any = train_dataloader.dataset
    if isinstance(documents, ShuffledDocuments):
        documents = documents.dataset
    elif isinstance(documents, IterableDataset):
        documents = list(islice(documents, STREAMED_DOCUMENTS))
    collator: Any = train_dataloader.collate_fn
    fit_head(model, documents, collator)


def _choose_rows(dataset: Any) -> Iterator[dict[str, Any]]:
    """Choose rows from all over a dataset, or equally many of each in a dict; of streams the first ones."""
    parts = list(dataset.values()) if isinstance(dataset, dict) else [dataset]
    share = -(-CONFIDENCE_DOCUMENTS // len(parts))
    for part in parts:
        if isinstance(part, IterableDataset):
            yield from islice(part, share)
        else:
            yield from (part[index] for index in spread(len(part), share))


@torch.no_grad()
def _predict(model: Any, rows: list[dict[str, Any]], collator: Any, batch_size: int) -> EvalPrediction:
    """Score rows in batches of similar length, which are not joined."""
    rows.sort(key=lambda row: len(row["input_ids"]))
    scores: Any = []  # Batches, as the Trainer gives them with `eval_do_concat_batches=False`.
    labels: Any = []
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(rows), batch_size):
            batch = collator(rows[start : start + batch_size])
            logits = model(**{name: tensor.to(model.device) for name, tensor in batch.items()}).logits
            scores.append(logits.float().cpu().numpy())
            labels.append(batch["labels"].numpy())
    finally:
        model.train(was_training)
    return EvalPrediction(scores, labels)
