"""A pairwise orderer to compare with, for its cost alone: it is not trained.

The way of B-TSort (Prabhumoye et al., "Topological Sort for Sentence Ordering", 2020): the encoder reads every pair of
sentences, and a classifier says which of the two comes first.
"""

from __future__ import annotations

from itertools import combinations

BATCH_SIZE = 128


class PairwiseOrderer:
    """Orders documents by comparing all pairs of their sentences.

    Args:
        folder: The encoder.
    """

    def __init__(self, folder: str) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.classifier = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2).eval()

    def __call__(self, documents: list[list[str]]) -> list[list[int]]:
        """Order documents.

        Args:
            documents: Lists of sentences.

        Returns:
            For each document its sentences' indices in reading order: those that come before most others first, which
            is a topological order wherever there is one.
        """
        import torch

        pairs = [(d, i, j) for d, sentences in enumerate(documents) for i, j in combinations(range(len(sentences)), 2)]
        encoded = self.tokenizer([documents[d][i] for d, i, _ in pairs], [documents[d][j] for d, _, j in pairs])
        input_ids = encoded["input_ids"]
        shortest_first = sorted(range(len(pairs)), key=lambda pair: len(input_ids[pair]))
        wins = [[0] * len(sentences) for sentences in documents]
        for start in range(0, len(pairs), BATCH_SIZE):
            chosen = shortest_first[start : start + BATCH_SIZE]
            batch = {name: [column[pair] for pair in chosen] for name, column in encoded.items()}
            with torch.inference_mode():
                logits = self.classifier(**self.tokenizer.pad(batch, return_tensors="pt")).logits
            for pair, second_is_first in zip(chosen, logits.argmax(dim=1).tolist(), strict=True):
                d, i, j = pairs[pair]
                wins[d][j if second_is_first else i] += 1
        return [sorted(range(len(won)), key=won.__getitem__, reverse=True) for won in wins]
