r"""Write beside each document the scores that an orderer gives its sentences: what `distil.py` trains a smaller one on.

    python scripts/label.py general-base --input corpora/train.jsonl --output corpora/labelled.jsonl --int8

Each document is shuffled and read once. A run that was ended goes on behind the documents that it has labelled.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from datasets import Dataset
from mix import read

from sentence_ordering.commands.loading import load_orderer
from sentence_ordering.evaluation.measuring import Orderer, collect, load_corpus, predict

# Documents between two writes; each part has shuffles of its own.
DOCUMENTS_AT_ONCE = 256


def main(argv: list[str] | None = None) -> None:
    """Read the documents, and write those that are short enough with their scores.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="the orderer: general-base, a folder, or a Hub id")
    parser.add_argument("--input", type=Path, required=True, help="JSONL file of documents in natural order")
    parser.add_argument("--output", type=Path, required=True, help="JSONL file to write, or to go on with")
    parser.add_argument("--int8", action="store_true", help="round the orderer's weights to 8 bits: faster on a CPU")
    parser.add_argument("--max_sentences", type=int, default=20, help="leave longer documents out")
    parser.add_argument("--max_characters", type=int, default=1600, help="likewise")
    parser.add_argument("--limit", type=int, help="label the first so many of the others")
    args = parser.parse_args(argv)
    try:
        documents = [row["sentences"] for row in read(args.input)]
        order = partial(load_orderer(args.model, int8=args.int8), max_tokens_per_batch=2048)
        fitting = [
            document
            for document in documents
            if 2 <= len(document) <= args.max_sentences and sum(map(len, document)) <= args.max_characters
        ][: args.limit]
        label(order, fitting, args.output)
    except (OSError, TypeError, ValueError) as error:
        sys.exit(str(error))
    print(f"{len(fitting)} of {len(documents)} documents  {args.output}")


def label(order: Orderer, documents: list[list[str]], output: Path) -> None:
    """Append documents with their scores to a file, some at a time.

    Args:
        order: The orderer's pipeline.
        documents: In natural order, each of at least two sentences.
        output: A JSONL file. What it holds stays, but for documents behind the last whole part.

    Raises:
        ValueError: If it holds other documents, or labels of another orderer.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with open(output, "a+b") as file:
        file.seek(0)
        done = sum(line.endswith(b"\n") for line in file) // DOCUMENTS_AT_ONCE * DOCUMENTS_AT_ONCE
        file.seek(0)
        kept = list(islice(file, done))
        if [json.loads(line)["sentences"] for line in kept] != documents[:done]:
            raise ValueError(f"{output} holds labels of other documents. Name another --output, or remove it.")
        if kept:
            [scores], before = score(order, documents[:1], seed=0), np.array(json.loads(kept[0])["scores"])
            # Weights of 8 bits and other batches change the last digits.
            if np.abs(scores - before).max() > 0.05 * np.ptp(before) + 0.001:
                raise ValueError(f"{output} holds labels of another orderer. Name another --output, or remove it.")
        file.truncate(sum(map(len, kept)))
        for start in range(done, len(documents), DOCUMENTS_AT_ONCE):
            part = documents[start : start + DOCUMENTS_AT_ONCE]
            for sentences, scores in zip(part, score(order, part, seed=start), strict=True):
                row = {"sentences": sentences, "scores": [round(float(value), 4) for value in scores]}
                file.write((json.dumps(row) + "\n").encode())
            file.flush()


def score(order: Orderer, documents: list[list[str]], seed: int) -> list[np.ndarray]:
    """Shuffle and read each document once; return the scores of its sentences, in natural order."""
    corpus = load_corpus("documents", Dataset.from_dict({"sentences": documents}))
    return [scores for [scores] in collect(predict(order, corpus, input_orders=1, seed=seed), 1).scores]


if __name__ == "__main__":
    main()
