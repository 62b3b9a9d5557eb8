"""Tell how well documents are ordered.

    sentence-ordering score --model output/quickstart --input documents.jsonl --output scored.jsonl

Input is of the forms that `order` reads. Output is of the same form, or of the one that the name of --output says, for
text JSONL: the objects and rows with "coherence" (the share of pairs that is expected to be in the right order),
"better_than_random" (the probability of this order against a random one), "sentence_coherence",
"neighbour_probabilities", "weakest" (the sentence that would best move, and to which place) and "scores" added.
"""

from __future__ import annotations

from .arguments import parse_arguments
from .asking import ask
from .order_arguments import OrderArguments, PipelineArguments


def main(argv: list[str] | None = None) -> None:
    """Judge the order of documents from a file or standard input.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    args, options = parse_arguments((OrderArguments, PipelineArguments), argv, "score", __doc__)
    ask(args, options, "score")
