"""Metrics and orders as text for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..training.metrics import TITLES


def format_metrics(columns: Mapping[str, Mapping[str, float]]) -> str:
    """Format metrics as a table.

    Args:
        columns: For each column's title its metrics, whose names may have the Trainer's prefix `eval_`.

    Returns:
        A table with one row per metric, and a last line with the number of documents.
    """
    plain = [{name.removeprefix("eval_"): value for name, value in metrics.items()} for metrics in columns.values()]
    lines = [" " * 22 + "".join(f"{title:>20}" for title in columns)]
    lines += [f"{title:22}" + "".join(f"{m[name]:20.3f}" for m in plain) for name, title in TITLES.items()]
    documents, skipped = int(plain[-1]["documents"]), int(plain[-1]["documents_skipped"])
    lines.append(f"{documents} documents" + (f", {skipped} of fewer than 2 sentences left out" if skipped else ""))
    return "\n".join(lines)


def format_order(prediction: Mapping[str, Any]) -> str:
    """Format one document in its predicted order, each sentence with its right place.

    Args:
        prediction: `order` and `sentences` in reading order, `labels` in input order.

    Returns:
        One line per sentence: its predicted place, its right place, its text.
    """
    lines = ["place  right  sentence"]
    for place, (index, sentence) in enumerate(zip(prediction["order"], prediction["sentences"], strict=True)):
        right = prediction["labels"][index]
        lines.append(f"{place + 1:5}{right + 1 if right >= 0 else '?':>7}  {sentence}")
    return "\n".join(lines)
