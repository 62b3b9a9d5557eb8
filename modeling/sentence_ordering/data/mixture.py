"""One training corpus drawn from many kinds of documents, so that no kind outweighs the others."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Ids of the windows of a source end in their number: "emma:2#7".
NUMBERED_ID = re.compile(r"(.*)#(\d+)")
# Windows of a source are joined if at most so many are missing between them.
LARGEST_GAP = 1


@dataclass(frozen=True)
class Mixture:
    """How to draw documents.

    Args:
        documents: For each kind the number of documents of a pass. A kind that has fewer gives some twice, after all of
            them.
        passes: Number of passes; each goes on with documents that the one before has not drawn.
        joined: Share of the documents that are windows drawn anew, of a text that is joined from several documents.
        long: Share of these that have many sentences.
        lengths: Least and greatest number of sentences of a window drawn anew.
        long_lengths: Likewise of a long one.
        seed: Seed of all draws.
    """

    documents: Mapping[str, int]
    passes: int = 1
    joined: float = 0.15
    long: float = 0.15
    lengths: tuple[int, int] = (2, 20)
    long_lengths: tuple[int, int] = (30, 60)
    seed: int = 42


def mix_kinds(kinds: Mapping[str, Sequence[Mapping[str, Any]]], mixture: Mixture) -> list[dict[str, Any]]:
    """Draw a corpus.

    Args:
        kinds: For each kind its documents, dicts with `id` and `sentences`.
        mixture: How many to draw of each, and how.

    Returns:
        Documents with the keys `kind` and `sentences`, in random order; a function of documents and seed alone.

    Raises:
        ValueError: If a kind of the mixture is missing or empty.

    Example:
        >>> kinds = {"stories": [{"id": "a#0", "sentences": ["Tom ate.", "He slept."]}]}
        >>> mix_kinds(kinds, Mixture({"stories": 1}))
        [{'kind': 'stories', 'sentences': ['Tom ate.', 'He slept.']}]
    """
    empty = sorted(kind for kind in mixture.documents if not kinds.get(kind))
    if empty:
        raise ValueError(f"There are no documents of the kind {', '.join(empty)}, only of {', '.join(sorted(kinds))}.")
    rng = random.Random(mixture.seed)
    rows = [
        {"kind": kind, "sentences": sentences}
        for kind in sorted(mixture.documents)
        for sentences in _draw(kinds[kind], mixture.documents[kind] * mixture.passes, mixture, rng)
    ]
    rng.shuffle(rows)
    return rows


def join_windows(documents: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    """Join neighbouring windows of a source, whose ids end in `#number`, to longer texts.

    Args:
        documents: Dicts with `id` and `sentences`.

    Returns:
        Texts of at least two windows, in the order of their sources' ids; up to one window may be missing in between.

    Example:
        >>> join_windows([{"id": "a#1", "sentences": ["c"]}, {"id": "a#0", "sentences": ["a", "b"]}])
        [['a', 'b', 'c']]
    """
    windows: dict[str, list[tuple[int, list[str]]]] = defaultdict(list)
    for document in documents:
        match = NUMBERED_ID.fullmatch(str(document.get("id")))
        if match:
            windows[match[1]].append((int(match[2]), list(document["sentences"])))
    return [
        [sentence for window in run for sentence in window]
        for source in sorted(windows)
        for run in _runs(sorted(windows[source], key=lambda window: window[0]))
        if len(run) > 1
    ]


def _runs(windows: Sequence[tuple[int, list[str]]]) -> Iterator[list[list[str]]]:
    """Cut the numbered windows of a source where too many are missing."""
    run: list[list[str]] = []
    last = None
    for number, sentences in windows:
        if last is not None and number - last > LARGEST_GAP + 1:
            yield run
            run = []
        run.append(sentences)
        last = number
    yield run


def _draw(
    documents: Sequence[Mapping[str, Any]], count: int, mixture: Mixture, rng: random.Random
) -> Iterator[list[str]]:
    """Draw documents of one kind without repeating any before all were drawn, some of them as windows drawn anew."""
    texts = join_windows(documents)
    weights = [len(text) for text in texts]
    left: list[list[str]] = []
    for _ in range(count):
        if not left:
            left = [list(document["sentences"]) for document in documents]
            rng.shuffle(left)
        sentences = left.pop()
        if texts and rng.random() < mixture.joined:
            [text] = rng.choices(texts, weights=weights)
            sentences = _cut(text, mixture, rng)
        yield sentences


def _cut(text: list[str], mixture: Mixture, rng: random.Random) -> list[str]:
    """Cut a random window out of a text."""
    lengths = mixture.long_lengths if rng.random() < mixture.long else mixture.lengths
    count = min(rng.randint(*lengths), len(text))
    start = rng.randint(0, len(text) - count)
    return text[start : start + count]
