"""The best order that keeps constraints.

The log-probability of an order is, up to the slope and a constant, the sum over its sentences of score times place
(`coherence` tells why), so the best order is one that makes this sum as large as possible. In the language of
scheduling it is the problem 1|prec|sum w_j C_j, in which a sentence is a job of length 1 and of the weight -score.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

import numpy as np

from .constrained_search import search_order
from .constraints import Constraints


def best_order(scores: np.ndarray, constraints: Constraints) -> np.ndarray:
    """Find the most probable order that keeps constraints.

    - It is the order of the scores, where that keeps them: n log(n) steps for n sentences.
    - With fixed places only, the other sentences are sorted into the places that are left, which is exact by the
      rearrangement inequality (Hardy, Littlewood, Pólya, "Inequalities", 1934): n log(n) steps.
    - With chains, or any pairs of which each sentence has at most one direct predecessor (or each at most one direct
      successor), blocks, and places fixed at the beginning and the end only, it is exact, too: whatever has to follow
      a sentence and would rather stand before it follows it at once, and is sorted together with it by the mean of
      their scores (Horn, "Single-Machine Job Sequencing with Treelike Precedence Ordering and Linear Delay Penalties",
      1972). A block is ordered by itself first, and then is such a unit. At most n * n * log(n) steps.
    - For all else, which is NP-hard (Lawler, "Sequencing Jobs to Minimize Total Weighted Completion Time Subject to
      Precedence Constraints", 1978), there is `search_order`. It is exact where constraints leave few choices, always
      for up to 12 sentences, and else a heuristic.

    Args:
        scores: One per sentence, floats of shape `(sentences,)`; a lower score is read earlier.
        constraints: From `read_constraints`, for as many sentences.

    Returns:
        Indices of the sentences in reading order, shape `(sentences,)`. Sentences that tie keep their order, if no
        constraint is in the way.

    Raises:
        ValueError: If no order keeps all constraints; the message names those that contradict each other. Or if the
            search found none although there may be one, which takes blocks, fixed places, and many choices. Where it
            finds one only without regard to the scores, that is the answer.

    Example:
        >>> best_order(np.array([0.0, 1.0, 2.0]), Constraints(fixed=((2, 0),)))
        array([2, 0, 1])
        >>> best_order(np.array([0.0, 1.0, 2.0]), Constraints(chains=((2, 0),)))
        array([1, 2, 0])
    """
    order, _ = _find_order(scores, constraints)
    if order is None:
        check_constraints(constraints, len(scores))
        order, _ = _find_order(np.zeros(len(scores)), constraints)
    if order is None:
        raise ValueError("No order was found that keeps all constraints, but there may be one. Leave some of them out.")
    return order


def check_constraints(constraints: Constraints, count: int) -> None:
    """Check that constraints do not contradict each other, as far as a search without scores can tell.

    Args:
        constraints: From `read_constraints`.
        count: Number of sentences.

    Raises:
        ValueError: If no order keeps all of them. The message names some that contradict each other, of which none
            could be left out.

    Example:
        >>> check_constraints(Constraints(fixed=((0, 1), (2, 1))), count=3)
        Traceback (most recent call last):
        ValueError: No order can keep all these constraints: sentence 0 at place 1; sentence 2 at place 1.
    """
    if _contradict(constraints, count):
        raise ValueError(f"No order can keep all these constraints: {_reduce(constraints, count)}.")


def _reduce(constraints: Constraints, count: int) -> Constraints:
    """Leave out of constraints that contradict each other what is not needed for that, by a deletion filter.

    Chinneck and Dravnieks, "Locating Minimal Infeasible Constraint Sets in Linear Programs", 1991.
    """
    parts = constraints.split()
    for part in list(parts):
        others = [other for other in parts if other is not part]
        if _contradict(Constraints.join(others), count):
            parts = others
    return Constraints.join(parts)


def _contradict(constraints: Constraints, count: int) -> bool:
    order, exhaustive = _find_order(np.zeros(count), constraints)
    return order is None and exhaustive


def _find_order(scores: np.ndarray, constraints: Constraints) -> tuple[np.ndarray | None, bool]:
    """Find the best order, and tell whether there is none if none was found."""
    order = np.argsort(scores, kind="stable")
    if constraints.hold_in(order):
        return order, True
    merged = _merge(scores, constraints)
    if merged is not None and constraints.hold_in(merged):
        return merged, True
    return search_order(scores, constraints)


class _Unit(NamedTuple):
    """Sentences that follow each other at once."""

    mean: float
    sentences: list[int]


def _merge(scores: np.ndarray, constraints: Constraints) -> np.ndarray | None:
    """Order the sentences without a fixed place as if nothing tied them to those, and put them into the free places.

    Returns:
        The best order if it keeps the constraints; `None` if chains are no trees, or places fixed in their midst.
    """
    fixed = dict(constraints.fixed)
    free_places = np.setdiff1d(np.arange(len(scores)), list(fixed.values()))
    free = [sentence for sentence in range(len(scores)) if sentence not in fixed]
    if len(free) != len(free_places):
        return None
    if (constraints.chains or constraints.blocks) and len(free) and np.ptp(free_places) >= len(free):
        return None
    pairs = [pair for pair in constraints.pairs() if fixed.keys().isdisjoint(pair)]
    block_of = {sentence: block for block in constraints.blocks for sentence in block}
    jobs = []
    for members in dict.fromkeys(block_of.get(sentence, (sentence,)) for sentence in free):
        inner = [sentence for sentence in members if sentence not in fixed]
        sequence = _merge_jobs(scores, [[sentence] for sentence in inner], pairs)
        if sequence is None:
            return None
        jobs.append(sequence)
    sequence = _merge_jobs(scores, jobs, pairs)
    if sequence is None:
        return None
    order = np.empty(len(scores), dtype=np.int64)
    order[list(fixed.values())] = list(fixed)
    order[free_places] = sequence
    return order


def _merge_jobs(scores: np.ndarray, jobs: Sequence[list[int]], pairs: Collection[tuple[int, int]]) -> list[int] | None:
    """Order jobs of one or more sentences that follow each other at once; `None` if what ties them is no forest."""
    if len(jobs) == 1:
        return jobs[0]
    job_of = {sentence: index for index, job in enumerate(jobs) for sentence in job}
    later: dict[int, set[int]] = {index: set() for index in range(len(jobs))}
    for pair in pairs:
        a, b = (job_of.get(sentence) for sentence in pair)
        if a is not None and b is not None and a != b:
            later[a].add(b)
    try:
        backward = list(TopologicalSorter(later).static_order())
    except CycleError:
        return None
    next_jobs = _direct(later, backward)
    previous: dict[int, list[int]] = {index: [] for index in later}
    for index, following in next_jobs.items():
        for other in following:
            previous[other].append(index)
    if all(len(others) <= 1 for others in previous.values()):
        return _merge_trees(scores, jobs, next_jobs, backward)
    if all(len(others) <= 1 for others in next_jobs.values()):
        mirrored = [job[::-1] for job in jobs]
        return _merge_trees(-scores, mirrored, previous, backward[::-1])[::-1]
    return None


def _direct(later: dict[int, set[int]], backward: list[int]) -> dict[int, list[int]]:
    """Leave out of what comes later than a job all that comes later than another of them, too."""
    rank = {index: number for number, index in enumerate(reversed(backward))}
    reached = dict.fromkeys(later, 0)  # All that come later, as the bits of a number.
    direct: dict[int, list[int]] = {}
    for index in backward:
        direct[index] = []
        for other in sorted(later[index], key=rank.__getitem__):
            if not reached[index] >> other & 1:
                direct[index].append(other)
                reached[index] |= reached[other] | 1 << other
    return direct


def _merge_trees(
    scores: np.ndarray, jobs: Sequence[list[int]], next_jobs: dict[int, list[int]], backward: list[int]
) -> list[int]:
    """Order jobs that each have at most one direct predecessor, by Horn's algorithm."""
    units: dict[int, list[_Unit]] = {}
    for index in backward:
        following = sorted(
            (unit for other in next_jobs[index] for unit in units.pop(other)), key=lambda unit: unit.mean
        )
        head, taken = _unit(scores, jobs[index]), 0
        while taken < len(following) and head.mean > following[taken].mean:
            head = _unit(scores, head.sentences + following[taken].sentences)
            taken += 1
        units[index] = [head, *following[taken:]]
    roots = (unit for index in sorted(units) for unit in units[index])
    return [sentence for unit in sorted(roots, key=lambda unit: unit.mean) for sentence in unit.sentences]


def _unit(scores: np.ndarray, sentences: list[int]) -> _Unit:
    return _Unit(float(scores[sentences].mean()), sentences)
