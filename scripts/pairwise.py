"""A pairwise orderer to compare with, in the way of B-TSort.

A classifier reads every pair of sentences and says how surely the first one comes before the second (Prabhumoye et al.,
"Topological Sort for Sentence Ordering", 2020); sentences are sorted by how surely the others come before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

# Number of pairs that the classifier reads at once when it orders.
BATCH_SIZE = 128


@dataclass
class PairCollator:
    """Shuffles documents given in natural order, and makes inputs and labels of all their pairs, each pair once."""

    tokenizer: Any

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Make a batch: label 1 where the first sentence of a pair comes before the second."""
        orders = [torch.randperm(len(row["sentences"])).tolist() for row in rows]
        documents = [[row["sentences"][i] for i in order] for row, order in zip(rows, orders, strict=True)]
        labels = [a < b for order in orders for a, b in combinations(order, 2)]
        inputs = self.tokenizer.pad(_encode_pairs(documents, self.tokenizer), return_tensors="pt")
        return inputs | {"labels": torch.tensor(labels, dtype=torch.float32)[:, None]}


def pair_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | None = None) -> torch.Tensor:
    """Average the logistic loss over all pairs of an accumulated step."""
    total = binary_cross_entropy_with_logits(outputs.logits.float(), labels, reduction="sum")
    return total / (labels.numel() if num_items_in_batch is None else num_items_in_batch)


def score_pairs(classifier: Any, documents: Sequence[Sequence[str]], tokenizer: Any) -> list[list[float]]:
    """Score the sentences of documents.

    Args:
        classifier: A model with one logit, that of the first sentence of a pair coming before the second.
        documents: Lists of sentences.
        tokenizer: The classifier's.

    Returns:
        For each sentence the sum of the probabilities that the others come before it.
    """
    pairs = [(d, i, j) for d, sentences in enumerate(documents) for i, j in combinations(range(len(sentences)), 2)]
    encoded = _encode_pairs(documents, tokenizer)
    shortest_first = sorted(range(len(pairs)), key=lambda pair: len(encoded["input_ids"][pair]))
    scores = [np.zeros(len(sentences)) for sentences in documents]
    for start in range(0, len(pairs), BATCH_SIZE):
        chosen = shortest_first[start : start + BATCH_SIZE]
        batch = {name: [column[pair] for pair in chosen] for name, column in encoded.items()}
        inputs = tokenizer.pad(batch, return_tensors="pt").to(classifier.device)
        with torch.inference_mode():
            logits = classifier(**inputs).logits[:, 0]
        for pair, first_is_earlier in zip(chosen, logits.float().sigmoid().tolist(), strict=True):
            d, i, j = pairs[pair]
            scores[d][i] += 1 - first_is_earlier
            scores[d][j] += first_is_earlier
    return [row.tolist() for row in scores]


def _encode_pairs(documents: Sequence[Sequence[str]], tokenizer: Any) -> dict[str, list[Any]]:
    """Encode the pairs of documents, in the order of `combinations`; rows that are too long are cut."""
    pairs = [pair for sentences in documents for pair in combinations(sentences, 2)]
    return dict(tokenizer([first for first, _ in pairs], [second for _, second in pairs], truncation=True))
