"""Find the places of sentences in documents that are in order.

    sentence-ordering insert --model output/quickstart --input documents.jsonl --output inserted.jsonl

Input is JSONL, each line an object with lists of strings under "sentences", the document, and under "insert". Output
are the objects with the new sentences put into "sentences", and "order", "places" (k is in front of sentence k of the
document) and "place_probabilities" added.
"""

from __future__ import annotations

from .asking import ask

ADDED = ("order", "places", "place_probabilities")


def main(argv: list[str] | None = None) -> None:
    """Put sentences into documents from a file or standard input.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    ask("insert", ADDED, argv, __doc__)
