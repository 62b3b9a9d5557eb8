"""Measure what 8-bit weights and ONNX cost an orderer in Kendall's tau, and what they save in time.

    python scripts/quantisation.py corpora/kinds/*.validation.jsonl --documents 60 --threads 1
    python scripts/quantisation.py corpora/kinds/*.validation.jsonl --systems float32 onnx onnx-int8   # extra `onnx`

All systems order the same documents of a corpus, shuffled alike, one system after the other on each corpus. Prints tau
for each corpus and system, the mean over corpora, its difference and that of scores to the first system's, and
documents/s.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import clock

if TYPE_CHECKING:
    import numpy as np

    from sentence_ordering.evaluation.measuring import Corpus, Orderer

SYSTEMS = ("float32", "int8", "onnx", "onnx-int8")


def main(argv: list[str] | None = None) -> None:
    """Measure, and print a row for each corpus as it is done.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="corpora, documents in natural order")
    parser.add_argument("--model", default="general", help="orderer: a folder, a Hub id, or general")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=["float32", "int8"], help="float32 int8")
    parser.add_argument("--documents", type=int, default=60, help="documents drawn of each corpus (60)")
    parser.add_argument("--batch_size", type=int, default=16, help="documents of a batch (16)")
    parser.add_argument("--threads", type=int, help="threads of torch; by default its own choice")
    args = parser.parse_args(argv)

    import numpy as np
    import torch

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    taus: list[list[float]] = []
    differences: list[list[float]] = []
    seconds = np.zeros(len(args.systems))
    documents = 0
    print(f"{'tau':40}" + "".join(f"{system:>11}" for system in args.systems))
    with load_systems(args) as orderers:
        for file in args.files:
            corpus = draw_corpus(file, args.documents)
            measured = [measure_tau(order, corpus) for order in orderers]
            taus.append([tau for tau, _, _ in measured])
            seconds += [spent for _, spent, _ in measured]
            differences.append([np.abs(scores - measured[0][2]).max() for _, _, scores in measured])
            documents += len(corpus.documents)
            print(f"{corpus.name:40}" + "".join(f"{tau:11.3f}" for tau in taus[-1]), flush=True)
    means = np.mean(taus, axis=0)
    for what, values in (
        (f"mean of {len(taus)} corpora", means),
        (f"less than {args.systems[0]}", means[0] - means),
        ("greatest difference of a score", np.max(differences, axis=0)),
        ("documents/s", documents / seconds),
    ):
        print(f"{what:40}" + "".join(f"{value:11.4g}" for value in values))


@contextmanager
def load_systems(args: argparse.Namespace) -> Iterator[list[Orderer]]:
    """Load the pipelines that `--systems` names, with their batch size.

    Args:
        args: The command line.

    Yields:
        The pipelines.
    """
    from transformers import pipeline

    import sentence_ordering  # noqa: F401  # makes the task known
    from sentence_ordering.orderers import locate_orderer

    folder = locate_orderer(args.model)
    options: dict[str, Any] = {"device": "cpu"}
    orderers: list[Orderer] = []
    with TemporaryDirectory() as work:
        for system in args.systems:
            if system.startswith("onnx"):
                from sentence_ordering.onnx.exporting import export_onnx
                from sentence_ordering.onnx.orderer import ORTModelForSentenceOrdering

                export_onnx(folder, f"{work}/{system}", int8=system == "onnx-int8")
                exported = ORTModelForSentenceOrdering.from_pretrained(f"{work}/{system}", num_threads=args.threads)
                order: Any = pipeline("sentence-ordering", model=exported)  # type: ignore[call-overload]
            else:
                order = pipeline("sentence-ordering", model=folder, int8=system == "int8", **options)  # type: ignore[call-overload]
            orderers.append(partial(order, batch_size=args.batch_size))
        yield orderers


def draw_corpus(file: Path, count: int) -> Corpus:
    """Draw documents of a file; the same ones in every run."""
    from sentence_ordering.data import load_documents
    from sentence_ordering.evaluation.measuring import load_corpus

    documents = load_documents({"documents": str(file)})["documents"].shuffle(seed=0)
    return load_corpus(file.name.split(".")[0], documents.select(range(min(count, len(documents)))))


def measure_tau(order: Orderer, corpus: Corpus) -> tuple[float, float, np.ndarray]:
    """Order a corpus.

    Returns:
        The mean of Kendall's tau, the seconds that it took, and the scores of all sentences.
    """
    import numpy as np

    from sentence_ordering.evaluation.measuring import collect, predict
    from sentence_ordering.evaluation.statistics import measure

    start = clock()
    answers = collect(predict(order, corpus, input_orders=1, seed=0), 1)
    seconds = clock() - start
    scores = np.concatenate([document[0] for document in answers.scores])
    return measure(answers).metrics["kendall_tau"].mean, seconds, scores


if __name__ == "__main__":
    main()
