r"""Train an orderer on the right order of documents, and on what a larger orderer says of each pair of their sentences.

    python scripts/distil.py configuration/general-distilled.yaml

The training files are those that `label.py` wrote, with the larger orderer's `scores` beside the `sentences`. All
options of `sentence-ordering train` work. Where a pair cannot be told the larger orderer says so, while the right order
is noise (distillation: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sentence_ordering.commands.arguments import parse_arguments
from sentence_ordering.commands.train import make_trainer, run
from sentence_ordering.commands.train_arguments import DataArguments, ModelArguments, check_resumable
from sentence_ordering.model.encoding import IGNORE_INDEX

if TYPE_CHECKING:
    from transformers import Trainer
    from transformers.modeling_outputs import ModelOutput

# Labels tell positions, and in multiples of this which document they are of; 0 if a larger orderer has not read it.
DOCUMENT = 1024


@dataclass
class DistilArguments:
    """What is learnt from the larger orderer."""

    teacher_weight: float = field(
        default=0.7, metadata={"help": "Share of its probabilities in what is learnt; the right order has the rest."}
    )
    teacher_slope: float = field(
        default=0.9, metadata={"help": "What gaps between its scores are multiplied by to be log odds."}
    )


def main(argv: list[str] | None = None) -> None:
    """Train, save, and measure as `sentence-ordering train` does.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    from sentence_ordering.training.precision import PreciseTrainingArguments

    types = (DistilArguments, ModelArguments, DataArguments, PreciseTrainingArguments)
    distil_args, model_args, data_args, training_args = parse_arguments(types, argv, "distil", __doc__)
    try:
        check_resumable(training_args)
        corpus = data_args.load()
        if "scores" not in corpus["train"].column_names:
            raise ValueError("The training files have no column `scores`. Write them with `scripts/label.py`.")
        trainer = make_trainer(model_args, data_args, training_args, corpus)
        teach(trainer, corpus["train"]["scores"], distil_args.teacher_weight, distil_args.teacher_slope)
    except (ImportError, OSError, TypeError, ValueError) as error:
        sys.exit(str(error))
    run(trainer, model_args, data_args, corpus)


def teach(trainer: Trainer, scores: Sequence[Sequence[float]], weight: float, slope: float) -> None:
    """Let a trainer learn from the scores of a larger orderer, too.

    Args:
        trainer: Made by `ordering_trainer`, which is changed in place.
        scores: The larger orderer's, one of each sentence of the trainer's documents in natural order.
        weight: Share of its probabilities in what is learnt, 0 to 1.
        slope: What gaps between its scores are multiplied by to be log odds.

    Raises:
        ValueError: If scores and sentences are not equally many.
    """
    shuffled: Any = trainer.train_dataset
    for row, (labels, given) in enumerate(zip(shuffled.dataset["labels"], scores, strict=True)):
        if len(labels) != len(given):
            raise ValueError(f"Training row {row} has {len(given)} scores for {len(labels)} sentences.")
    shuffled.dataset = shuffled.dataset.map(
        lambda row, index: {"labels": [DOCUMENT * (index + 1) + label for label in row["labels"]]}, with_indices=True
    )
    trainer.compute_loss_func = TaughtLoss(scores, weight, slope)


class TaughtLoss:
    """The logistic loss of pairs whose targets are mixed from the right order and a larger orderer's probabilities.

    RankNet with target probabilities (Burges et al., "Learning to Rank using Gradient Descent", 2005). Documents weigh
    as they do in the objective `pairwise_logistic`, and so do those that the larger orderer has not read.

    Args:
        scores: As for `teach`.
        weight: Likewise.
        slope: Likewise.
    """

    def __init__(self, scores: Sequence[Sequence[float]], weight: float, slope: float) -> None:
        log_odds = np.zeros((len(scores) + 1, max(map(len, scores))), dtype=np.float32)
        for row, given in enumerate(scores, start=1):
            log_odds[row, : len(given)] = slope * np.asarray(given)
        self.log_odds = torch.from_numpy(log_odds)
        self.weight = weight

    def __call__(
        self, outputs: ModelOutput, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Compute the loss; the arguments are those of the Trainer's `compute_loss_func`."""
        scores = outputs["logits"].float()
        valid = labels != IGNORE_INDEX
        document, position = labels.clamp(min=0) // DOCUMENT, labels.clamp(min=0) % DOCUMENT
        taught = document[:, :1] > 0
        said = self.log_odds.to(labels.device)[document, torch.where(taught, position, 0)]
        earlier = (position[:, :, None] < position[:, None, :]).float()
        weight = self.weight * taught[:, :, None]
        targets = (1 - weight) * earlier + weight * _gaps(said).sigmoid()
        losses = torch.nn.functional.binary_cross_entropy_with_logits(_gaps(scores), targets, reduction="none")
        pairs = (
            valid[:, :, None] & valid[:, None, :] & ~torch.eye(labels.shape[1], dtype=torch.bool, device=labels.device)
        )
        total = ((losses * pairs).sum(dim=(1, 2)) / (valid.sum(dim=1) - 1).clamp(min=1)).sum()
        return total / (valid.sum() if num_items_in_batch is None else num_items_in_batch)


def _gaps(scores: torch.Tensor) -> torch.Tensor:
    """Subtract scores, shape `(documents, sentences)`, from each other: `[:, i, j]` is that of j less that of i."""
    return scores[:, None, :] - scores[:, :, None]


if __name__ == "__main__":
    main()
