"""Fit a new head to a frozen encoder in seconds: a first orderer, and a start for fine-tuning."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor

from ..model.encoding import IGNORE_INDEX
from ..model.head import OrderingHead
from ..model.losses import regression_targets

# Penalties to choose from, as multiples of the mean square of the features, so that they fit any encoder.
PENALTIES = np.logspace(3, 5, 5)
BATCH_SIZE = 16
# Of long documents fewer are read: more sentences than this cost minutes, and teach nothing new.
MAX_SENTENCES = 10_000


@torch.no_grad()
def fit_head(
    model: Any,
    dataset: Sequence[dict[str, Any]],
    collator: Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]],
    documents: int = 512,
) -> None:
    """Turn a model's ordering head to the ridge regression of positions on the vectors of sentences.

    A linear probe before fine-tuning, as Kumar et al. propose ("Fine-Tuning can Distort Pretrained Features and
    Underperform Out-of-Distribution", 2022): the first steps of a random head would distort what the encoder knows.
    Vectors and positions are centred on their documents, as the head's scores are.

    The head keeps its length, so that the orders are those of the regression, but not the size of the scores. An
    encoder with small vectors would need a weight many times as long as a new one, and then each step of training
    would change the scores as many times as much, while the head itself hardly turned.

    Args:
        model: The orderer, on any device, with adapters or without; nothing but the head's weights is changed. They
            are overwritten: do not fit the head of an orderer that was trained.
        dataset: Rows of `prepare_dataset`, not streamed. Where there are none, or all labels are -100, the head stays
            as it is.
        collator: Makes batches of them: `DataCollatorForSentenceOrdering`.
        documents: Largest number of rows to learn from, taken from all over the dataset; fewer if they have more than
            10,000 sentences.

    Example:
        >>> model = AutoModelForSentenceOrdering.from_pretrained("bert-base-uncased", pooling="mean")
        >>> fit_head(model, documents["train"], DataCollatorForSentenceOrdering(tokenizer, model.config))
    """
    rows = [dataset[row] for row in spread(len(dataset), documents)]
    rows = rows[:: math.ceil(sum(len(row["labels"]) for row in rows) / MAX_SENTENCES) or 1]
    read = list(read_vectors(model, rows, collator))
    if not any(vectors.any() for vectors, _ in read):
        return
    features, positions = (torch.cat(parts).numpy() for parts in zip(*read, strict=True))
    penalties = PENALTIES * np.square(features).mean()
    fit = RidgeCV(alphas=penalties, fit_intercept=False).fit(features, positions)
    head = find_head(model)
    _turn(model, head, torch.from_numpy(fit.coef_))
    head.is_new = False


def spread(length: int, count: int) -> list[int]:
    """Choose rows from all over a dataset, evenly.

    Args:
        length: Number of its rows.
        count: Number of rows to choose, if there are so many.

    Returns:
        Indices, in ascending order.

    Example:
        >>> spread(10, 4)
        [0, 3, 6, 9]
    """
    return np.linspace(0, length - 1, min(count, length)).astype(int).tolist()


@torch.no_grad()
def read_vectors(
    model: Any, rows: Sequence[dict[str, Any]], collator: Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Read documents, and give what a head is fitted on.

    Args:
        model: The orderer, as for `fit_head`; it is in evaluation mode meanwhile.
        rows: Rows of `prepare_dataset`.
        collator: Makes batches of them.

    Yields:
        For each document, short ones first, the vectors of its labelled sentences, float32 of shape `(sentences,
        hidden)`, and their positions as they are learnt, float32 of shape `(sentences,)`; both less their means.
    """
    rows = sorted(rows, key=lambda row: len(row["input_ids"]))
    read: list[tuple[torch.Tensor, torch.Tensor]] = []
    hook = find_head(model).register_forward_pre_hook(lambda head, inputs: read.append(inputs))
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(rows), BATCH_SIZE):
            batch = collator(rows[start : start + BATCH_SIZE])
            model(**{name: tensor.to(model.device) for name, tensor in batch.items()})
            vectors, exists = (tensor.cpu() for tensor in read.pop())
            labelled = exists & (batch["labels"] != IGNORE_INDEX)
            counts = exists.sum(dim=1, keepdim=True)
            positions = regression_targets(batch["labels"].float(), counts, model.config.scale_positions)
            yield from zip(_centred(vectors.float(), labelled), _centred(positions, labelled), strict=True)
    finally:
        hook.remove()
        model.train(was_training)


def _turn(model: Any, head: OrderingHead, direction: torch.Tensor) -> None:
    """Turn the head's weight without changing its length, also where processes hold shards of it (FSDP2)."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()  # Reading left whole copies of the weights, and what is written to those is lost.
    weight = head.projection.weight
    whole = weight.full_tensor() if isinstance(weight, DTensor) else weight
    turned = nn.functional.normalize(direction.to(whole), dim=0) * whole.norm()
    if isinstance(weight, DTensor):
        turned = distribute_tensor(turned, weight.device_mesh, weight.placements)
    weight.copy_(turned)


def find_head(model: Any) -> OrderingHead:
    """Find the ordering head of a model that may be wrapped: by adapters, which keep a copy of the untrained head.

    Args:
        model: An orderer.

    Returns:
        The head whose weights are trained.

    Raises:
        ValueError: If the model has none.
    """
    heads = [module for module in model.modules() if isinstance(module, OrderingHead)]
    if not heads:
        raise ValueError(f"{type(model).__name__} has no ordering head.")
    return max(heads, key=lambda head: head.projection.weight.requires_grad)


def _centred(documents: torch.Tensor, chosen: torch.Tensor) -> list[torch.Tensor]:
    """Take the chosen sentences of each document, less their mean."""
    return [values[here] - values[here].mean(dim=0) for values, here in zip(documents, chosen, strict=True)]
