"""What an order has to keep: sentences at their places, chains in their order, blocks together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np

from .encoding import invert_order

KEYS = ("first", "last", "fixed", "before", "chains", "blocks")


@dataclass(frozen=True)
class Constraints:
    """What an order has to keep; sentences and places are 0-based.

    Args:
        fixed: Sentences and their places.
        chains: Sentences that come in this order, not necessarily next to each other.
        blocks: Sentences that stand next to each other, in any order; no sentence is in two of them.
    """

    fixed: tuple[tuple[int, int], ...] = ()
    chains: tuple[tuple[int, ...], ...] = ()
    blocks: tuple[tuple[int, ...], ...] = ()

    def pairs(self) -> list[tuple[int, int]]:
        """List the pairs of neighbours in the chains, the earlier sentence first."""
        return [pair for chain in self.chains for pair in pairwise(chain)]

    def hold_in(self, order: np.ndarray) -> bool:
        """Tell whether an order keeps all of them.

        Args:
            order: Indices of the sentences in reading order, shape `(sentences,)`.

        Returns:
            Whether it does.
        """
        places = invert_order(order)
        return (
            all(places[sentence] == place for sentence, place in self.fixed)
            and all(places[earlier] < places[later] for earlier, later in self.pairs())
            and all(np.ptp(places[list(block)]) == len(block) - 1 for block in self.blocks)
        )

    def split(self) -> list[Constraints]:
        """Split them into single ones."""
        return [
            *(Constraints(fixed=(place,)) for place in self.fixed),
            *(Constraints(chains=(chain,)) for chain in self.chains),
            *(Constraints(blocks=(block,)) for block in self.blocks),
        ]

    @staticmethod
    def join(parts: Sequence[Constraints]) -> Constraints:
        """Put single ones together again."""
        return Constraints(
            *(tuple(value for part in parts for value in getattr(part, name)) for name in ("fixed", "chains", "blocks"))
        )

    def renumber(self, numbers: Sequence[int]) -> Constraints:
        """Give sentence i the number `numbers[i]`."""
        return Constraints(
            tuple((numbers[sentence], place) for sentence, place in self.fixed),
            tuple(tuple(numbers[sentence] for sentence in chain) for chain in self.chains),
            tuple(tuple(numbers[sentence] for sentence in block) for block in self.blocks),
        )

    def __str__(self) -> str:
        return "; ".join(
            [
                *(f"sentence {sentence} at place {place}" for sentence, place in self.fixed),
                *(" before ".join(["sentence " + str(chain[0]), *map(str, chain[1:])]) for chain in self.chains),
                *(f"sentences {', '.join(map(str, block))} together" for block in self.blocks),
            ]
        )


def read_constraints(value: Any, count: int) -> Constraints:
    """Read constraints from an object as JSON has it.

    Args:
        value: A dict with any of `first` and `last`, a sentence; `fixed`, a dict from sentences (in JSON: strings) to
            places; `before`, pairs of an earlier and a later sentence; `chains`, lists of sentences that come in this
            order; `blocks`, lists of sentences that stay together, in the order that a chain of the same sentences may
            give. Sentences are named by their 0-based index. `None` stands for nothing.
        count: Number of sentences.

    Returns:
        The constraints; each can hold by itself, but not necessarily all together.

    Raises:
        ValueError: If the object is not of this form, or names sentences or places that the document does not have.

    Example:
        >>> print(read_constraints({"first": 2, "before": [[1, 0]]}, count=3))
        sentence 2 at place 0; sentence 1 before 0
    """
    if value is None:
        return Constraints()
    if not isinstance(value, Mapping):
        raise ValueError(
            f'Constraints are an object like {{"first": 0, "before": [[1, 2]]}}, but these are {value!r:.80}.'
        )
    unknown = [key for key in value if key not in KEYS]
    if unknown:
        raise ValueError(
            f"There are no constraints {', '.join(map(repr, unknown))}, only {', '.join(map(repr, KEYS))}."
        )
    given = {key: item for key, item in value.items() if item is not None}

    fixed = [
        (_index(given[key], count, key), place) for key, place in (("first", 0), ("last", count - 1)) if key in given
    ]
    places = given.get("fixed", {})
    if not isinstance(places, Mapping):
        raise ValueError(f'"fixed" is an object like {{"2": 0}}, sentence 2 at place 0, but this is {places!r:.80}.')
    for sentence, place in places.items():
        # A dataset of objects has all their keys in every row.
        if place is not None:
            sentence = int(sentence) if isinstance(sentence, str) and sentence.isdecimal() else sentence
            fixed.append((_index(sentence, count, "fixed"), _index(place, count, "fixed")))
    before = _lists(given.get("before", []), count, "before")
    for pair in before:
        if len(pair) != 2:
            raise ValueError(
                f'"before" has pairs of an earlier and a later sentence, but not {list(pair)}; use "chains".'
            )
    chains = before + _lists(given.get("chains", []), count, "chains")
    blocks = _lists(given.get("blocks", []), count, "blocks")
    seen: dict[int, tuple[int, ...]] = {}
    for block in blocks:
        for sentence in block:
            if sentence in seen:
                raise ValueError(
                    f'Sentence {sentence} is in two "blocks", {list(seen[sentence])} and {list(block)}. Join them, or '
                    "leave it out of one."
                )
            seen[sentence] = block
    return Constraints(tuple(dict.fromkeys(fixed)), tuple(chains), tuple(blocks))


def _lists(value: Any, count: int, key: str) -> list[tuple[int, ...]]:
    """Read lists of sentences, and leave out those that say nothing."""
    lists = (list, tuple, np.ndarray)  # pandas gives the lists of a Parquet file as arrays.
    if not isinstance(value, lists) or not all(isinstance(item, lists) for item in value):
        raise ValueError(f'"{key}" is a list of lists of sentences like [[1, 2]], but this is {value!r:.80}.')
    read = [tuple(_index(sentence, count, key) for sentence in item) for item in value]
    for item in read:
        if len(set(item)) < len(item):
            raise ValueError(f'"{key}" names a sentence twice in {list(item)}.')
    return read if key == "before" else [item for item in read if len(item) > 1]


def _index(value: Any, count: int, key: str) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or not 0 <= int(value) < count:
        raise ValueError(
            f'"{key}" names {value!r}, but the sentences and places of this document are the numbers from 0 to '
            f"{count - 1}."
            if count
            else f'"{key}" names {value!r}, but the document has no sentences.'
        )
    return int(value)
