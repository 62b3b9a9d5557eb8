"""Find the places of sentences in documents that are in order.

    sentence-ordering insert --model output/quickstart --input documents.jsonl --output inserted.jsonl

Input is of the forms that `order` reads but text: objects with lists of strings under "sentences", the document, and
under "insert"; in tables the list stands as JSON in the column "insert". Output is of the same form, or of the one that
the name of --output says: the objects and rows with the new sentences put into "sentences", and "order", "places" (k is
in front of sentence k of the document) and "place_probabilities" added.
"""

from __future__ import annotations

from .arguments import parse_arguments
from .asking import ask
from .order_arguments import OrderArguments, PipelineArguments


def main(argv: list[str] | None = None) -> None:
    """Put sentences into documents from a file or standard input.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    args, options = parse_arguments((OrderArguments, PipelineArguments), argv, "insert", __doc__)
    ask(args, options, "insert")
