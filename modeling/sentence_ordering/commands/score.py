"""Tell how well documents are ordered.

    sentence-ordering score --model output/quickstart --input documents.jsonl --output scored.jsonl

Input is JSONL, each line an object with a list of strings under "sentences", or such a list itself. Output are the
objects with "coherence" (the share of pairs that is expected to be in the right order), "better_than_random" (the
probability of this order against a random one), "sentence_coherence", "neighbour_probabilities", "weakest" (the
sentence that would best move, and to which place) and "scores" added.
"""

from __future__ import annotations

from .asking import ask

ADDED = ("coherence", "better_than_random", "sentence_coherence", "neighbour_probabilities", "weakest", "scores")


def main(argv: list[str] | None = None) -> None:
    """Judge the order of documents from a file or standard input.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    ask("score", ADDED, argv, __doc__)
