"""Rows of figures, and timing two sides in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass
class Row:
    """One comparison: medians over its rounds, and the quartiles of the ratio ours / reference.

    `target` is what the ratio is to reach: a least value, or a greatest one where `less_is_better`.
    """

    what: str
    unit: str
    reference: float
    ours: float
    ratio: float
    quartiles: tuple[float, float]
    target: float | None = None
    less_is_better: bool = False


def single(what: str, unit: str, reference: float, ours: float, **target: Any) -> Row:
    """Make a row of a comparison that comes out the same every time, and so has one round only."""
    ratio = ours / reference
    return Row(what, unit, reference, ours, ratio, (ratio, ratio), **target)


def clock() -> float:
    """Read the clock.

    Returns:
        Seconds of this process's CPU time if it has one thread, because they stand still while another program has the
        processor; otherwise of real time.
    """
    import torch

    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def compare(
    what: str,
    sides: Sequence[Callable[[int], Any]],
    rounds: int,
    count: int | None = None,
    target: float | None = None,
    unit: str = "documents/s",
) -> Row:
    """Time two sides in turn.

    Args:
        what: The comparison's name.
        sides: The reference and ours, functions of the round's number.
        rounds: Number of rounds; one more, to warm up, comes before them and does not count.
        count: Number of documents (or of what `unit` names) of a round, to compare speeds; by default milliseconds are
            compared.
        target: What the ratio is to reach.
        unit: Unit of the speeds.

    Returns:
        The figures.
    """
    import numpy as np

    seconds = np.empty((rounds + 1, 2))
    for number in range(rounds + 1):
        for column, side in enumerate(sides):
            start = clock()
            side(number)
            seconds[number, column] = clock() - start
    if count is None:
        return summarize(what, "ms", seconds[1:] * 1000, target, less_is_better=True)
    return summarize(what, unit, count / seconds[1:], target, less_is_better=False)


def summarize(what: str, unit: str, values: Any, target: float | None, *, less_is_better: bool) -> Row:
    """Reduce the values of all rounds, of shape `(rounds, 2)`, to a row."""
    import numpy as np

    reference, ours = np.median(values, axis=0).tolist()
    low, ratio, high = np.quantile(values[:, 1] / values[:, 0], [0.25, 0.5, 0.75]).tolist()
    return Row(what, unit, reference, ours, ratio, (low, high), target, less_is_better)


def format_header() -> str:
    """Format the names of the columns."""
    return f"{'':55}{'unit':13}{'reference':>10}{'ours':>10}{'ratio':>9}  {'half of the rounds':20}to reach"


def format_row(row: Row) -> str:
    """Format one row of the table."""
    low, high = row.quartiles
    target = "" if row.target is None else f"{'<=' if row.less_is_better else '>='} {row.target:g}"
    figures = f"{row.reference:10.2f}{row.ours:10.2f}{row.ratio:9.3f}"
    return f"{row.what:55}{row.unit:13}{figures}  {f'{low:.3f} to {high:.3f}':20}{target}"
