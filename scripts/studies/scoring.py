"""How the systems score held-out documents: in one pass, or pair by pair; and the curves that this gives."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import EvalPrediction, TrainerCallback, TrainingArguments

from sentence_ordering import SentenceOrderingModel, compute_metrics, encode_documents
from sentence_ordering.data import shuffle_document

Scorer = Callable[[Any, Sequence[Sequence[str]]], list[list[float]]]


@dataclass
class PairCollator:
    """Pairs of sentences as inputs of a classifier: does the first one come before the second?"""

    tokenizer: Any

    def encode(self, documents: Sequence[Sequence[str]]) -> dict[str, torch.Tensor]:
        """Encode all pairs of each document, each once, in the order in which its sentences are given."""
        pairs = [(a, b) for sentences in documents for i, a in enumerate(sentences) for b in sentences[i + 1 :]]
        return dict(self.tokenizer(*zip(*pairs, strict=True), truncation=True, padding=True, return_tensors="pt"))

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Shuffle documents given in natural order, and label their pairs."""
        orders = [torch.randperm(len(row["sentences"])).tolist() for row in rows]
        documents = [[row["sentences"][i] for i in order] for row, order in zip(rows, orders, strict=True)]
        labels = [a < b for order in orders for i, a in enumerate(order) for b in order[i + 1 :]]
        return self.encode(documents) | {"labels": torch.tensor(labels, dtype=torch.float32)[:, None]}


def pair_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | None = None) -> torch.Tensor:
    """Average the logistic loss over all pairs of an accumulated step."""
    total = binary_cross_entropy_with_logits(outputs.logits.float(), labels, reduction="sum")
    return total / (labels.numel() if num_items_in_batch is None else num_items_in_batch)


def score_in_one_pass(tokenizer: Any, batch_size: int) -> Scorer:
    """Return a function that scores documents as a sentence-ordering model does."""

    def score(model: SentenceOrderingModel, documents: Sequence[Sequence[str]]) -> list[list[float]]:
        scores: list[list[float]] = []
        for start in range(0, len(documents), batch_size):
            batch = documents[start : start + batch_size]
            inputs = encode_documents(batch, tokenizer, model.config)
            padded = tokenizer.pad(inputs, return_tensors="pt").to(model.device)
            rows = model(**padded).logits.tolist()
            scores += [row[: len(sentences)] for row, sentences in zip(rows, batch, strict=True)]
        return scores

    return score


def score_pairs(collator: PairCollator) -> Scorer:
    """Return a function that scores a sentence by the probabilities that the others come before it."""

    def score(model: Any, documents: Sequence[Sequence[str]]) -> list[list[float]]:
        scores = []
        for sentences in documents:
            later = np.zeros(len(sentences))
            inputs = collator.encode([sentences])
            wins = model(**{name: rows.to(model.device) for name, rows in inputs.items()}).logits.sigmoid()[:, 0]
            pairs = np.array([(i, j) for i in range(len(sentences)) for j in range(i + 1, len(sentences))])
            np.add.at(later, pairs[:, 1], wins.float().cpu().numpy())
            np.add.at(later, pairs[:, 0], 1 - wins.float().cpu().numpy())
            scores.append(later.tolist())
        return scores

    return score


class Curve(TrainerCallback):
    """Measures the model on held-out documents a few times during training."""

    def __init__(self, score: Scorer, documents: Sequence[Sequence[str]], count: int) -> None:
        self.score = score
        self.count = count
        self.orders = [shuffle_document(sentences, seed=0).tolist() for sentences in documents]
        self.documents = [[d[i] for i in order] for d, order in zip(documents, self.orders, strict=True)]
        self.points: list[dict[str, float]] = []
        self.seconds = 0.0

    def on_train_begin(self, args: TrainingArguments, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure what the pretrained encoder knows."""
        self.measure(kwargs["model"], 0, args.bf16)

    def on_step_end(self, args: TrainingArguments, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure at equal distances, the last time at the end."""
        if state.global_step % max(state.max_steps // self.count, 1) == 0 or state.global_step == state.max_steps:
            documents = state.global_step * args.train_batch_size * args.gradient_accumulation_steps
            self.measure(kwargs["model"], documents, args.bf16)

    def measure(self, model: Any, documents_seen: int, bf16: bool) -> None:
        """Add a point to the curve."""
        start = time.perf_counter()
        model.eval()
        with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
            scores = self.score(model, self.documents)
        model.train()
        metrics = compute_metrics(EvalPrediction(_pad(scores), _pad(self.orders)))
        kept = ("kendall_tau", "pmr", "accuracy", "first", "last")
        self.points.append({"documents_seen": documents_seen} | {name: metrics[name] for name in kept})
        self.seconds += time.perf_counter() - start


def _pad(rows: Sequence[Sequence[float]]) -> np.ndarray:
    padded = np.full((len(rows), max(map(len, rows))), -100.0)
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    return padded
