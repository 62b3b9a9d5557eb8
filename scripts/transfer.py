r"""Show which kinds of text teach an orderer about others, by heads alone, each of which takes a moment to fit.

    python scripts/transfer.py general --input_dir corpora/kinds --trained configuration/mixtures/general.yaml \
        --unseen configuration/mixtures/general-validation.yaml

The folder holds NAME.train.jsonl and NAME.validation.jsonl for every kind that the two mixtures name. Each document is
shuffled and read once. Heads are fitted to the vectors of the trained kinds' sentences (ridge regression of positions),
and measured by Kendall's tau on the unseen kinds: heads of fewer kinds or documents, of kinds that weigh by how many
documents they have, of each kind alone, and of all kinds but it. Fine-tuning the encoder may show other differences.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from kinds import names, read_telling, some

from sentence_ordering import DataCollatorForSentenceOrdering, prepare_dataset
from sentence_ordering.commands.loading import load_orderer
from sentence_ordering.model.encoding import IGNORE_INDEX
from sentence_ordering.training.document_metrics import measure_documents
from sentence_ordering.training.linear_probe import read_vectors
from sentence_ordering.training.metrics import join_batches

# In multiples of the mean square of the vectors' components; a third, and three times as much, do as well.
PENALTY = 1.0
# Draws of kinds where heads are fitted on some of them.
DRAWS = 12
# Kinds weigh as the numbers of their documents to these powers.
POWERS = (0.0, 0.5, 1.0)

# The vectors of a document's sentences, shape `(sentences, hidden)`, and their positions; less their means.
Read = tuple[np.ndarray, np.ndarray]


def main(argv: list[str] | None = None) -> None:
    """Read the kinds, fit heads, and print the tables.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="an orderer: general, a folder, or a Hub id")
    parser.add_argument("--input_dir", type=Path, required=True, help="folder of the kinds' files")
    parser.add_argument("--trained", type=Path, required=True, help="YAML file of a mixture: kinds to fit heads on")
    parser.add_argument("--unseen", type=Path, required=True, help="likewise: kinds to measure them on")
    parser.add_argument("--documents", type=int, default=120, help="at most so many of a kind to fit on")
    parser.add_argument("--held_out", type=int, default=60, help="at most so many of a kind to measure on")
    args = parser.parse_args(argv)
    try:
        trained = {name: read_telling(args.input_dir / f"{name}.train.jsonl") for name in names(args.trained)}
        unseen = {name: read_telling(args.input_dir / f"{name}.validation.jsonl") for name in names(args.unseen)}
        order = load_orderer(args.model)
    except (OSError, TypeError, ValueError) as error:
        sys.exit(str(error))
    sizes = {name: len(documents) for name, documents in trained.items()}
    heads = Heads(
        {name: read_documents(order, some(documents, args.documents)) for name, documents in trained.items()},
        [read_documents(order, documents[: args.held_out]) for documents in unseen.values()],
    )
    tables = [tabulate_amounts(heads, args.documents), tabulate_powers(heads, sizes), tabulate_kinds(heads)]
    print("\n\n".join("\n".join(table) for table in tables))


def read_documents(order: Any, documents: list[list[str]]) -> list[Read]:
    """Let an orderer read documents that are shuffled; those of fewer than two sentences are left out."""
    config, tokenizer = order.model.config, order.tokenizer
    rows = prepare_dataset(Dataset.from_dict({"sentences": documents}), tokenizer, config)
    collator = DataCollatorForSentenceOrdering(tokenizer, config)
    # One at a time, because of several the short ones would come first.
    reads = [read_vectors(order.model, [row], collator) for row in rows]
    return [(vectors.numpy(), positions.numpy()) for [(vectors, positions)] in reads]


class Heads:
    """Fits heads on some kinds, and measures them on others.

    Args:
        trained: For each kind to fit on what was read of its documents.
        unseen: Likewise, for each kind to measure on.
    """

    def __init__(self, trained: Mapping[str, list[Read]], unseen: Sequence[list[Read]]) -> None:
        self.names = list(trained)
        self._trained = trained
        self._kinds = [len(kind) for kind in unseen]
        self._vectors = np.concatenate([vectors for kind in unseen for vectors, _ in kind])
        # Ranks are whole numbers, which padding can be told from.
        self._labels = join_batches([right.argsort().argsort()[None] for kind in unseen for _, right in kind])
        self._moments: dict[tuple[str, int | None], tuple[np.ndarray, np.ndarray]] = {}

    def measure(self, weights: Mapping[str, float], documents: int | None = None) -> float:
        """Fit a head, and measure it.

        Args:
            weights: The kinds to fit on, with what each weighs.
            documents: Number of documents of each; by default all.

        Returns:
            Mean of the unseen kinds' mean Kendall's tau.
        """
        total = sum(weights.values())
        gram, product = (
            sum(weight / total * moments for weight, moments in zip(weights.values(), parts, strict=True))
            for parts in zip(*(self._moments_of(name, documents) for name in weights), strict=True)
        )
        penalty = PENALTY * np.trace(gram) / len(product)
        head = np.linalg.solve(gram + penalty * np.eye(len(product)), product)
        valid = self._labels != IGNORE_INDEX
        scores = np.zeros(valid.shape)
        scores[valid] = self._vectors @ head
        taus = measure_documents(scores, self._labels, valid)["kendall_tau"]
        return float(np.mean([kind.mean() for kind in np.split(taus, np.cumsum(self._kinds)[:-1])]))

    def _moments_of(self, name: str, documents: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean products of a kind's vectors, and of vectors and positions; its documents weigh the same."""
        key = name, documents
        if key not in self._moments:
            reads = self._trained[name][:documents]
            vectors = np.concatenate([vectors / len(vectors) ** 0.5 for vectors, _ in reads])
            positions = np.concatenate([right / max(right.std(), 1e-9) / len(right) ** 0.5 for _, right in reads])
            gram, product = vectors.T @ vectors / len(reads), vectors.T @ positions / len(reads)
            self._moments[key] = gram, product
        return self._moments[key]


def tabulate_amounts(heads: Heads, documents: int) -> list[str]:
    """Tabulate heads of some of the kinds and documents; the mean over several draws of kinds."""
    counts = [2**power for power in range(1, 10) if 2**power < len(heads.names)] + [len(heads.names)]
    rng = np.random.default_rng(0)
    draws = {
        count: [rng.permutation(heads.names)[:count] for _ in range(DRAWS if count < len(heads.names) else 1)]
        for count in counts
    }
    lines = [
        "| documents of each | " + " | ".join(f"{count} kinds" for count in counts) + " |",
        "|--:|" + "--:|" * len(counts),
    ]
    for number in sorted({max(documents // part, 1) for part in (8, 4, 2, 1)}):
        taus = [np.mean([heads.measure(dict.fromkeys(draw, 1.0), number) for draw in draws[count]]) for count in counts]
        lines.append(f"| {number} | " + " | ".join(f"{tau:.3f}" for tau in taus) + " |")
    return lines


def tabulate_powers(heads: Heads, sizes: Mapping[str, int]) -> list[str]:
    """Tabulate heads of all kinds, which weigh by powers of the numbers of their documents."""
    taus = [heads.measure({name: size**power for name, size in sizes.items()}) for power in POWERS]
    return [
        "| kinds weigh as their documents to the power | " + " | ".join(map(str, POWERS)) + " |",
        "|---|" + "--:|" * len(POWERS),
        "| tau | " + " | ".join(f"{tau:.3f}" for tau in taus) + " |",
    ]


def tabulate_kinds(heads: Heads) -> list[str]:
    """Tabulate the heads of each kind alone, best first, and what is gained by it beside all others."""
    every = dict.fromkeys(heads.names, 1.0)
    alone = {name: heads.measure({name: 1.0}) for name in heads.names}
    together = heads.measure(every)
    gained = {name: together - heads.measure({other: 1.0 for other in every if other != name}) for name in every}
    lines = ["| kind | alone | gained by it |", "|---|--:|--:|"]
    return lines + [
        f"| {name} | {alone[name]:.3f} | {gained[name]:+.4f} |" for name in sorted(every, key=lambda name: -alone[name])
    ]


if __name__ == "__main__":
    main()
