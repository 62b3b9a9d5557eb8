"""Fresh shuffles for every epoch, reproducible after a resume."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch
from datasets import Dataset as ArrowDataset
from datasets import IterableDataset
from torch.utils.data import Dataset

from ..model.configuration_sentence_ordering import SentenceOrderingConfig

# Documents are sorted by length within chunks of this many batches: padding is small, and batches stay random.
BATCHES_PER_CHUNK = 100
ROWS_AT_ONCE = 10_000


class ShuffledDocuments(Dataset[dict[str, list[int]]]):
    """Training documents in a new order, each with its sentences in a new order, every epoch.

    Both are functions of `(seed, epoch, row)` alone and draw nothing from a global generator. Train with
    `TrainingArguments(train_sampling_strategy="sequential")`, because this dataset shuffles itself; then a run resumed
    in the middle of an epoch sees the same batches as an uninterrupted one, also with several workers.

    Args:
        dataset: What `prepare_dataset` returned for a split.
        config: The model's configuration, for its sentence token.
        seed: Seed of the shuffles.
        group_by_length_of: The batch size for which to put documents of about the same length together; `None` for
            a plain random order.

    Raises:
        TypeError: If the dataset streams.
        ValueError: If the dataset has no `input_ids` or `labels`, or the batch size is not positive.

    Example:
        >>> train = ShuffledDocuments(prepared["train"], model.config, seed=42, group_by_length_of=16)
        >>> trainer = Trainer(model, args, train_dataset=train, data_collator=collator)
    """

    def __init__(
        self,
        dataset: ArrowDataset,
        config: SentenceOrderingConfig,
        *,
        seed: int = 0,
        group_by_length_of: int | None = None,
    ) -> None:
        if isinstance(dataset, IterableDataset):
            raise TypeError(
                "A stream cannot be shuffled anew in every epoch. Give the Trainer what `prepare_dataset` returned "
                "and `max_steps`, or load the corpus without streaming."
            )
        if group_by_length_of is not None and group_by_length_of < 1:
            raise ValueError(f"group_by_length_of={group_by_length_of} must be a batch size, or None.")
        missing = {"input_ids", "labels"} - set(dataset.column_names)
        if missing:
            raise ValueError(
                f"The dataset has no column {' and '.join(sorted(missing))}, only {dataset.column_names}. Prepare it "
                "with `prepare_dataset(dataset, tokenizer, config)`."
            )
        self.dataset = dataset
        self.sentence_token_id = config.sentence_token_id
        self.seed = seed
        self.group_by_length_of = group_by_length_of
        # Shared memory, so that workers which outlive an epoch see the next one's number.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._row_order: tuple[int, np.ndarray] = (-1, np.empty(0, dtype=np.int64))
        if group_by_length_of is not None:
            self._lengths = _count_tokens(dataset)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose shuffles are returned; data loaders call it.

        Args:
            epoch: 0-based number of the epoch.
        """
        self._epoch.fill_(int(epoch))

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[dict[str, list[int]]]:
        epoch = int(self._epoch)
        rows = self._order_rows(epoch)[indices]
        columns: dict[str, list[Any]] = self.dataset[rows.tolist()]
        return [
            self._shuffle(input_ids, labels, np.random.default_rng((self.seed, epoch, int(row))))
            for row, input_ids, labels in zip(rows, columns["input_ids"], columns["labels"], strict=True)
        ]

    def _order_rows(self, epoch: int) -> np.ndarray:
        """Return the order of the rows in an epoch, computed once an epoch."""
        if self._row_order[0] != epoch:
            rng = np.random.default_rng((self.seed, epoch))
            order = rng.permutation(len(self.dataset))
            if self.group_by_length_of is not None:
                order = _group_by_length(order, self._lengths, self.group_by_length_of, rng)
            self._row_order = (epoch, order)
        return self._row_order[1]

    def _shuffle(self, input_ids: list[int], labels: list[int], rng: np.random.Generator) -> dict[str, list[int]]:
        """Cut a row at its sentence tokens and put it together in another order."""
        tokens = np.asarray(input_ids)
        starts = np.flatnonzero(tokens == self.sentence_token_id)
        if len(starts) != len(labels) or (len(starts) and starts[0] != 0):
            raise ValueError(
                f"A row has {len(labels)} labels but {len(starts)} sentence tokens (id {self.sentence_token_id}), or "
                "does not begin with one. Prepare it with `prepare_dataset` and the same configuration."
            )
        sentences = np.split(tokens, starts[1:])
        order = rng.permutation(len(labels))
        return {
            "input_ids": np.concatenate([sentences[index] for index in order]).tolist(),
            "attention_mask": [1] * len(input_ids),
            "labels": [labels[index] for index in order],
        }


def _count_tokens(dataset: ArrowDataset) -> np.ndarray:
    """Return the length of each row; of a selection of rows no more are copied than some at once."""
    batches = dataset.select_columns("input_ids").with_format("arrow").iter(ROWS_AT_ONCE)
    lengths = [np.asarray(pc.list_value_length(batch["input_ids"])) for batch in batches]
    return np.concatenate([np.empty(0, dtype=np.int32), *lengths])


def _group_by_length(order: np.ndarray, lengths: np.ndarray, batch_size: int, rng: np.random.Generator) -> np.ndarray:
    """Sort a random order by length within chunks, and shuffle the batches that this makes.

    Args:
        order: Random permutation of the rows.
        lengths: Number of tokens of each row.
        batch_size: Number of rows of a batch.
        rng: Generator for the order of the batches.

    Returns:
        A permutation of the rows, whose batches hold rows of similar length; an incomplete batch, of random rows,
        comes last.
    """
    complete = len(order) // batch_size * batch_size
    chunk_size = batch_size * BATCHES_PER_CHUNK
    by_length = order.copy()
    for start in range(0, complete, chunk_size):
        chunk = order[start : min(start + chunk_size, complete)]
        by_length[start : start + len(chunk)] = chunk[np.argsort(lengths[chunk], kind="stable")]
    batches = by_length[:complete].reshape(-1, batch_size)
    return np.concatenate([rng.permutation(batches).ravel(), by_length[complete:]])
