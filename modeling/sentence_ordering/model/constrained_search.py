"""Orders under any constraints: a search place by place, over the sets of sentences that may come first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from .constraints import Constraints

# Sets of sentences of one size that are kept. For 12 sentences there are at most 924.
WIDTH = 1000


def search_order(scores: np.ndarray, constraints: Constraints) -> tuple[np.ndarray | None, bool]:
    """Search for the best order that keeps constraints.

    For each set of sentences that the constraints allow to come first, the best order of it is the best one of a set
    with one sentence less (Held and Karp, "A Dynamic Programming Approach to Sequencing Problems", 1962). Sets are
    gone through by size. Of sentences that constraints do not tell apart only the one of the lowest score is tried. If
    there are more than `WIDTH` sets of a size, those are kept that are best when the other sentences are sorted behind
    them regardless of constraints (beam search: Lowerre, "The Harpy Speech Recognition System", 1976). For 40 documents
    of 20 sentences with random scores, a tenth of whose pairs were tied at random, sets were left out for 10, and the
    best order was found for all. Time is at most n * n * n * `WIDTH` steps for n sentences, a second for 50 that are
    all tied, and far less where constraints leave few choices.

    Args:
        scores: One per sentence, floats of shape `(sentences,)`.
        constraints: What to keep.

    Returns:
        Indices of the sentences in reading order, or `None` if none was found; and whether no set was left out, so that
        the order is exactly the best one, or there is none. Without blocks an order is always found if there is one:
        the room for sentences that have a first or last place is kept free (Hall's condition).
    """
    count = len(scores)
    block_of = _number_blocks(constraints, count)
    edges = _lift(constraints, block_of)
    latest = _latest_places(constraints.fixed, constraints.blocks, edges, count)
    mirrored = tuple((sentence, count - 1 - place) for sentence, place in constraints.fixed)
    earliest = count - 1 - _latest_places(mirrored, constraints.blocks, edges[::-1], count)
    if not _have_room(earliest, latest):
        return None, True
    edges = np.concatenate([edges, _sort_equals(scores, constraints, edges, block_of)], axis=1)
    earlier, later = edges[:, np.argsort(edges[1], kind="stable")]
    followers, starts = np.unique(later, return_index=True)
    deadlines = np.unique(latest)
    # As floats, because NumPy multiplies matrices of whole numbers slowly.
    due = (latest[:, None] <= deadlines).astype(np.float32)
    in_block = (block_of[:, None] == np.arange(len(constraints.blocks))).astype(np.float32)
    allowed = np.ones((count, count), dtype=bool)  # [place, sentence]
    for sentence, place in constraints.fixed:
        allowed[:, sentence] &= np.arange(count) == place
        allowed[place] &= np.arange(count) == sentence
    by_score = np.argsort(scores, kind="stable")

    placed, values = np.zeros((1, count), dtype=bool), np.zeros(1)
    steps: list[tuple[np.ndarray, np.ndarray]] = []
    exhaustive = True
    for place in range(count):
        ready = ~placed
        if len(followers):
            ready[:, followers] &= np.logical_and.reduceat(placed[:, earlier], starts, axis=1)
        begun = placed.astype(np.float32) @ in_block
        open_blocks = (begun > 0) & (begun < in_block.sum(axis=0))
        may_follow = ~open_blocks.any(axis=1, keepdims=True) | (open_blocks.astype(np.float32) @ in_block.T > 0)
        parents, chosen = np.nonzero(ready & allowed[place] & may_follow)

        sets = placed[parents]
        sets[np.arange(len(sets)), chosen] = True
        values = values[parents] + scores[chosen] * place
        packed = [row.tobytes() for row in np.packbits(sets, axis=1)]
        best_last = np.argsort(values, kind="stable").tolist()
        kept = np.array([*{packed[index]: index for index in best_last}.values()], dtype=np.int64)
        # What has to stand up to a place must still find room there.
        kept = kept[((~sets[kept]).astype(np.float32) @ due <= (deadlines - place).clip(min=0)).all(axis=1)]
        if len(kept) > WIDTH:
            exhaustive = False
            rest = ~sets[kept][:, by_score]
            bounds = values[kept] + (rest * (place + rest.cumsum(axis=1)) * scores[by_score]).sum(axis=1)
            kept = kept[np.argsort(-bounds, kind="stable")[:WIDTH]]
        if not len(kept):
            return None, exhaustive
        placed, values = sets[kept], values[kept]
        steps.append((parents[kept], chosen[kept]))

    order, state = [], 0
    for parents, chosen in reversed(steps):
        order.append(chosen[state])
        state = parents[state]
    return np.array(order[::-1], dtype=np.int64), exhaustive


def _number_blocks(constraints: Constraints, count: int) -> np.ndarray:
    """Give each sentence the number of its block; -1 for none."""
    block_of = np.full(count, -1)
    for number, block in enumerate(constraints.blocks):
        block_of[list(block)] = number
    return block_of


def _lift(constraints: Constraints, block_of: np.ndarray) -> np.ndarray:
    """List the pairs of the chains, shape `(2, pairs)`; what ties two sentences ties all of their blocks."""
    pairs = set()
    for earlier, later in constraints.pairs():
        if block_of[earlier] == block_of[later]:
            pairs.add((earlier, later))
        else:
            groups = [
                (sentence,) if block_of[sentence] < 0 else constraints.blocks[block_of[sentence]]
                for sentence in (earlier, later)
            ]
            pairs.update((a, b) for a in groups[0] for b in groups[1])
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2).T


def _latest_places(
    fixed: Sequence[tuple[int, int]], blocks: Sequence[Sequence[int]], edges: np.ndarray, count: int
) -> np.ndarray:
    """Compute the last place at which each sentence can stand for the sake of what follows it; negative if nowhere."""
    latest = np.full(count, count - 1)
    for sentence, place in fixed:
        latest[sentence] = min(latest[sentence], place)
    for block in map(list, blocks):
        latest[block] = np.minimum(latest[block], latest[block].min() + len(block) - 1)
    earlier, later = edges
    while latest.min(initial=0) >= 0:
        before = latest.copy()
        np.minimum.at(latest, earlier, latest[later] - 1)
        if (latest == before).all():
            break
    return latest


def _have_room(earliest: np.ndarray, latest: np.ndarray) -> bool:
    """Tell whether no places are the only ones of more sentences than they are (Hall's condition)."""
    count = len(latest)
    if (latest < earliest).any():
        return False
    windows = np.zeros((count, count), dtype=np.int64)
    np.add.at(windows, (earliest, latest), 1)
    inside = windows[::-1].cumsum(axis=0)[::-1].cumsum(axis=1)
    lengths = np.arange(count) - np.arange(count)[:, None] + 1
    return bool((inside <= lengths.clip(min=0)).all())


def _sort_equals(scores: np.ndarray, constraints: Constraints, edges: np.ndarray, block_of: np.ndarray) -> np.ndarray:
    """Chain the sentences that could change places in any order, in the order of their scores; shape `(2, pairs)`."""
    earlier, later = edges
    fixed = dict(constraints.fixed)
    equals: dict[tuple[int, bytes, bytes], list[int]] = {}
    for sentence in np.argsort(scores, kind="stable").tolist():
        if sentence not in fixed:
            ties = np.sort(later[earlier == sentence]).tobytes(), np.sort(earlier[later == sentence]).tobytes()
            equals.setdefault((int(block_of[sentence]), *ties), []).append(sentence)
    pairs = [pair for sentences in equals.values() for pair in pairwise(sentences)]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T
