r"""Measure an orderer kind of text by kind of text: on kinds that it was trained on, and on kinds that it was not.

    python scripts/kinds.py general --input_dir corpora/kinds --trained configuration/mixtures/general.yaml \
        --unseen configuration/mixtures/general-validation.yaml --output output/kinds.json

The folder holds NAME.train.jsonl and NAME.validation.jsonl for every kind that the two mixtures name. Each document is
shuffled and read once. Beside Kendall's tau stand that of a bag of words that is trained on the kind itself, and the
expected calibration error of the probabilities of pairs. For an unseen kind the slope is fitted on all other unseen
kinds, because the orderer's own slope may have been fitted on the kind, and the error is that on documents of its
training file, which the orderer has not read either: on sixty held-out documents it would be mostly noise.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from datasets import Dataset
from mix import read
from transformers import EvalPrediction, pipeline

from sentence_ordering.evaluation.baselines import make_baselines
from sentence_ordering.evaluation.measuring import Answers, Corpus, collect, load_corpus, predict
from sentence_ordering.evaluation.statistics import Measurement, measure
from sentence_ordering.orderers import locate_orderer
from sentence_ordering.training.calibration import fit_confidence
from sentence_ordering.training.metrics import join_batches


@dataclass
class Kind:
    """What was measured on a kind of text.

    Args:
        name: Of its files.
        trained: Whether the orderer was trained on it.
        documents: Number of documents measured on.
        kendall_tau: Mean over them.
        bag_of_words: The same for a bag of words trained on the kind.
        calibration_error: Expected calibration error of the probabilities of pairs.
    """

    name: str
    trained: bool
    documents: int
    kendall_tau: float
    bag_of_words: float
    calibration_error: float


def main(argv: list[str] | None = None) -> None:
    """Measure, write every figure, and print the tables.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="an orderer: general, a folder, or a Hub id")
    parser.add_argument("--input_dir", type=Path, required=True, help="folder of the kinds' files")
    parser.add_argument("--trained", type=Path, help="YAML file of a mixture: the kinds that it was trained on")
    parser.add_argument("--unseen", type=Path, help="likewise: two or more kinds that it was not")
    parser.add_argument("--documents", type=int, default=60, help="at most so many of each kind")
    parser.add_argument(
        "--calibration_documents",
        type=int,
        default=240,
        help="calibration on an unseen kind: documents of its training file",
    )
    parser.add_argument("--num_shuffles", type=int, default=1, help="orders in which a document is read")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    args = parser.parse_args(argv)
    try:
        trained, unseen = (
            {name: load(args.input_dir, name, args.documents) for name in names(mixture)}
            for mixture in (args.trained, args.unseen)
        )
        if len(unseen) == 1:
            raise ValueError(f"{args.unseen} has one kind, but calibration needs another to be fitted on.")
        if not unseen | trained:
            raise ValueError("Name kinds to measure on with --unseen or --trained.")
        more = {name: take_more(corpus, args.calibration_documents) for name, corpus in unseen.items()}
        order = pipeline("sentence-ordering", model=locate_orderer(args.model))  # type: ignore[call-overload]  # knows its own tasks only
    except (OSError, TypeError, ValueError) as error:
        sys.exit(str(error))
    ask = partial(order, max_tokens_per_batch=8192, num_shuffles=args.num_shuffles)
    slope = order.model.config.confidence_slope
    corpora = unseen | trained
    measured = {name: measure(answer(ask, corpus), confidence_slope=slope) for name, corpus in corpora.items()}
    errors = {name: measurement.calibration_error for name, measurement in measured.items()}
    errors |= calibration_errors({name: answer(ask, corpus) for name, corpus in more.items()})
    kinds = [describe_kind(corpus, measured[name], name in trained, errors[name]) for name, corpus in corpora.items()]
    if args.output is not None:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(json.dumps([asdict(kind) for kind in kinds], indent=1) + "\n", encoding="utf-8")
    print("\n".join(tabulate([kind for kind in kinds if kind.trained == group]) for group in (False, True)))


def names(mixture: Path | None) -> list[str]:
    """Read the names of a mixture's kinds."""
    if mixture is None:
        return []
    content = yaml.safe_load(mixture.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or "documents" not in content:
        raise ValueError(f"{mixture} is no mixture: it has no `documents`, which names kinds.")
    return list(content["documents"])


def load(folder: Path, name: str, limit: int) -> Corpus:
    """Load the first held-out documents of a kind that say something about order, and all to train on."""
    held_out = read_telling(folder / f"{name}.validation.jsonl")[:limit]
    train = [row["sentences"] for row in read(folder / f"{name}.train.jsonl")]
    return load_corpus(name, Dataset.from_dict({"sentences": held_out}), Dataset.from_dict({"sentences": train}))


def take_more(corpus: Corpus, limit: int) -> Corpus:
    """Take documents that say something about order from all over what there is of a kind to train on."""
    telling = [row["sentences"] for row in corpus.train or () if len(row["sentences"]) >= 2]
    return load_corpus(corpus.name, Dataset.from_dict({"sentences": some(telling, limit)}))


def read_telling(file: Path) -> list[list[str]]:
    """Read a kind's documents that say something about order."""
    return [row["sentences"] for row in read(file) if len(row["sentences"]) >= 2]


def some(documents: Sequence[Any], count: int) -> list[Any]:
    """Take documents from all over a kind, in random order."""
    chosen = np.random.default_rng(0).permutation(len(documents))[:count]
    return [documents[index] for index in chosen]


def answer(ask: Callable[..., Any], corpus: Corpus) -> Answers:
    """Shuffle and read every document once."""
    return collect(predict(ask, corpus, input_orders=1, seed=0), 1)


def fit_slope(kinds: list[Answers]) -> float | None:
    """Fit one slope on the answers for several kinds."""
    scores = join_batches([document[:1] for answers in kinds for document in answers.scores])
    labels = join_batches([document[None] for answers in kinds for document in answers.true])
    return fit_confidence(EvalPrediction(scores, labels))


def calibration_errors(answers: Mapping[str, Answers]) -> dict[str, float | None]:
    """Measure the calibration on each kind with the slope that fits all others."""
    errors = {}
    for name, of_kind in answers.items():
        slope = fit_slope([others for other, others in answers.items() if other != name])
        errors[name] = measure(of_kind, confidence_slope=slope).calibration_error
    return errors


def describe_kind(corpus: Corpus, measurement: Measurement, trained: bool, calibration_error: float | None) -> Kind:
    """Put what was measured on a kind together, and measure the bag of words on the same documents."""
    bag_of_words = make_baselines(corpus, seed=0)["bag of words"]
    baseline = measure(collect(predict(bag_of_words, corpus, input_orders=1, seed=0), 1))
    return Kind(
        name=corpus.name,
        trained=trained,
        documents=measurement.documents,
        kendall_tau=measurement.metrics["kendall_tau"].mean,
        bag_of_words=baseline.metrics["kendall_tau"].mean,
        calibration_error=float("nan") if calibration_error is None else calibration_error,
    )


def tabulate(kinds: list[Kind]) -> str:
    """Format kinds as a Markdown table, easiest first, with their means and the worst calibration error."""
    if not kinds:
        return ""
    tau, words, error = (
        np.array([getattr(kind, key) for kind in kinds]) for key in ("kendall_tau", "bag_of_words", "calibration_error")
    )
    lines = [
        f"{'Trained on' if kinds[0].trained else 'Unseen'}: {len(kinds)} kinds, mean tau {tau.mean():.3f}, bag of "
        f"words {words.mean():.3f}, above it on {(tau > words).sum()}; calibration error {error.mean():.3f}, at most "
        f"{error.max():.3f}",
        "",
        "| kind | documents | tau | bag of words | calibration error |",
        "|---|--:|--:|--:|--:|",
    ]
    for kind in sorted(kinds, key=lambda kind: -kind.kendall_tau):
        lines.append(
            f"| {kind.name} | {kind.documents} | {kind.kendall_tau:.2f} | {kind.bag_of_words:.2f} | "
            f"{kind.calibration_error:.2f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
