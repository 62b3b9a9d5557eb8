"""How held-out documents are scored in one pass, and the curve of what a system reaches as it is trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from transformers import EvalPrediction, TrainerCallback, TrainingArguments

from sentence_ordering import SentenceOrderingModel, compute_metrics, encode_documents
from sentence_ordering.data import shuffle_document

Scorer = Callable[[Any, Sequence[Sequence[str]]], list[list[float]]]


def score_in_one_pass(tokenizer: Any, batch_size: int) -> Scorer:
    """Return a function that scores documents as a sentence-ordering model does."""

    def score(model: SentenceOrderingModel, documents: Sequence[Sequence[str]]) -> list[list[float]]:
        rows: list[list[float]] = []
        input_ids = encode_documents(documents, tokenizer, model.config)["input_ids"]
        for start in range(0, len(documents), batch_size):
            batch = tokenizer.pad({"input_ids": input_ids[start : start + batch_size]}, return_tensors="pt")
            rows += model(**batch.to(model.device)).logits.tolist()
        return [row[: len(sentences)] for row, sentences in zip(rows, documents, strict=True)]

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
