"""Can the vectors of a pass tell which sentence does not belong, and which ones belong together?

    python scripts/intruders.py --model general --file stories.jsonl news.jsonl --documents 60

Into each document one sentence of another one is put, of another file (easy) or of the same (hard), and the sentence
is guessed that is least similar to the others. Then the sentences of two documents are mixed, and put into two groups.
Compares the orderer's vectors, of every layer, with the plain similarity of the encoder below it, which reads each
sentence alone. Prints how often the guess is right, and the adjusted Rand index of the groups, in Markdown.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score
from transformers import AutoModel

from sentence_ordering.commands.arguments import parse_arguments
from sentence_ordering.data import load_documents
from sentence_ordering.model import SentenceOrderingPipeline
from sentence_ordering.model.adapter import locate_encoder
from sentence_ordering.model.batching import pad_rows
from sentence_ordering.model.encoding import build_row, tokenize_documents

PLAIN = "encoder, each sentence alone"


@dataclass
class IntrudersArguments:
    """What to compare on what."""

    model: str = field(metadata={"help": "Orderer."})
    file: list[str] = field(metadata={"help": "Files of documents in natural order, at least two, each of a kind."})
    encoder: str = field(
        default="sentence-transformers/all-MiniLM-L6-v2", metadata={"help": "Encoder that the orderer was made from."}
    )
    documents: int = field(default=60, metadata={"help": "Number of documents of each file."})
    seed: int = field(default=0, metadata={"help": "Seed of what is mixed."})


class Vectors:
    """Sentence vectors of several kinds: means over the states of a sentence's tokens."""

    def __init__(self, ask: SentenceOrderingPipeline, encoder: str) -> None:
        self.orderer, self.tokenizer = ask.model, ask.tokenizer
        self.limit = self.orderer.config.token_limit or 512
        self.encoder = AutoModel.from_pretrained(locate_encoder(encoder)).eval()

    def tokens(self, sentences: list[str]) -> list[list[int]]:
        """Tokenize a document."""
        return tokenize_documents([sentences], self.tokenizer, self.orderer.config)[0]

    @torch.inference_mode()
    def __call__(self, sentences: list[str]) -> dict[str, np.ndarray]:
        """Return for each kind the vectors, floats of shape `(sentences, hidden)`."""
        token, ids = self.orderer.config.sentence_token_id, self.tokens(sentences)
        row = pad_rows([build_row(ids, token)], self.tokenizer)
        sentence_of_token = (row["input_ids"][0] == token).cumsum(0) - 1
        members = torch.nn.functional.one_hot(sentence_of_token, len(sentences)).T.float()
        layers = self.orderer.backbone(**row, output_hidden_states=True).hidden_states
        kinds = {f"orderer, layer {number}": members @ layer[0] for number, layer in enumerate(layers)}
        kinds["encoder, all sentences at once"] = members @ self.encoder(**row).last_hidden_state[0]
        end = [self.tokenizer.sep_token_id] if self.tokenizer.sep_token_id is not None else []
        batch = pad_rows([[token, *sentence, *end] for sentence in ids], self.tokenizer)
        states = self.encoder(**batch).last_hidden_state * batch["attention_mask"][:, :, None]
        kinds[PLAIN] = states.sum(dim=1)
        # Cosines do not see that sums were not divided by the number of tokens.
        return {kind: torch.nn.functional.normalize(vectors).numpy() for kind, vectors in kinds.items()}


def mix(corpora: list[list[list[str]]], added: int | None, vectors: Vectors, args: Any) -> Iterator[tuple[Any, ...]]:
    """Mix sentences of another document into each document.

    Args:
        corpora: The documents of each file.
        added: Number of sentences that are mixed in; by default all of the other document.
        vectors: Makes the vectors.
        args: The program's.

    Yields:
        For each document, once for another file and once for the same: that, the vectors of its sentences, shuffled,
        and which of them are not its own. What does not fit into a row is left out.
    """
    rng = np.random.default_rng(args.seed)
    for number, documents in enumerate(corpora):
        for row in range(min(args.documents, len(documents))):
            for case in ("easy", "hard"):
                others = [n for n in range(len(corpora)) if n != number]
                source = corpora[rng.choice(others) if case == "easy" else number]
                other = source[rng.choice([k for k in range(len(source)) if source is not documents or k != row])]
                strangers = rng.permutation(len(other))[:added]
                sentences = documents[row] + [other[index] for index in strangers]
                order = rng.permutation(len(sentences))
                mixed = [sentences[index] for index in order]
                if len(set(mixed)) == len(mixed) and sum(map(len, vectors.tokens(mixed))) + len(mixed) <= vectors.limit:
                    yield case, vectors(mixed), order >= len(documents[row])


def centre(samples: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the mean vector of each kind over all sentences."""
    return {kind: np.concatenate([sample[kind] for sample in samples]).mean(axis=0) for kind in samples[0]}


def cosines(vectors: np.ndarray) -> np.ndarray:
    """Compute the cosine of each two vectors."""
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-9)
    return vectors @ vectors.T


def finds_intruder(vectors: np.ndarray, strange: np.ndarray) -> float:
    """Tell whether the sentence that is least similar to the others is the one that does not belong."""
    return float(strange[cosines(vectors).sum(axis=1).argmin()])


def group_similarity(vectors: np.ndarray, strange: np.ndarray) -> float:
    """Put sentences into two groups, and compare them with the right ones: 1 for the same, 0 for random ones."""
    distances = (1 - cosines(vectors)).clip(min=0)
    clustering = AgglomerativeClustering(n_clusters=2, metric="precomputed", linkage="average")
    return float(adjusted_rand_score(strange, clustering.fit_predict(distances)))


def main(argv: list[str] | None = None) -> None:
    """Print the table.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    (args,) = parse_arguments((IntrudersArguments,), argv, "intruders", __doc__)
    from transformers import pipeline

    from sentence_ordering.orderers import locate_orderer

    ask = pipeline("sentence-ordering", model=locate_orderer(args.model))  # type: ignore[call-overload]
    corpora = [
        [row["sentences"] for row in load_documents({"file": path})["file"] if 4 <= len(row["sentences"]) <= 9]
        for path in args.file
    ]
    vectors = Vectors(ask, args.encoder)
    table: dict[str, list[str]] = {}
    for added, measure in ((1, finds_intruder), (None, group_similarity)):
        samples = list(mix(corpora, added, vectors, args))
        if {case for case, *_ in samples} != {"easy", "hard"}:
            sys.exit("Too few documents of 4 to 9 sentences fit into a row together. Give more, or shorter ones.")
        means = centre([sample for _, sample, _ in samples])
        for kind, mean in means.items():
            for name, shift in ((kind, 0.0), (f"{kind}, centred", mean)):
                for case in ("easy", "hard"):
                    values = [measure(s[kind] - shift, strange) for c, s, strange in samples if c == case]
                    error = np.std(values) / np.sqrt(len(values))
                    table.setdefault(name, []).append(f"{np.mean(values):.2f} ± {error:.2f}")
    print("| vectors | intruder, easy | intruder, hard | groups, easy | groups, hard |\n|---|--:|--:|--:|--:|")
    for name, cells in table.items():
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
