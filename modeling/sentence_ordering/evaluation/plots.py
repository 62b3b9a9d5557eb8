"""Plots as SVG for a page: without a background, and in the page's own colours, so that they suit light and dark.

Needs matplotlib, which comes with the extra `plot`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from ..training.gaps import GapGroup
from .tables import format_length

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .results import Result

# What matplotlib draws with, and what the page puts in its place.
INK, RULE, MUTED = "#010203", "#010204", "#010205"
SERIES = ("#0a0001", "#0a0002", "#0a0003", "#0a0004", "#0a0005", "#0a0006")
PAGE_COLORS = {INK: "currentColor", RULE: "var(--rule)", MUTED: "var(--muted)"} | {
    color: f"var(--series-{number})" for number, color in enumerate(SERIES, start=1)
}
# Matplotlib's markers and the characters that look like them, for the legend.
MARKERS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚"}
BASELINE_MARKERS = {"x": "×", "+": "+", "*": "★"}


def can_plot() -> bool:
    """Tell whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def style_series(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Give every system its color and marker: models by number, baselines muted.

    Args:
        results: The systems' results.

    Returns:
        For each the matplotlib color and marker; `PAGE_COLORS`, `MARKERS` and `BASELINE_MARKERS` give the page's.
    """
    models = baselines = 0
    styles = []
    for result in results:
        if result.baseline:
            styles.append((MUTED, list(BASELINE_MARKERS)[baselines % len(BASELINE_MARKERS)]))
            baselines += 1
        else:
            styles.append((SERIES[models % len(SERIES)], list(MARKERS)[models % len(MARKERS)]))
            models += 1
    return styles


def draw_lengths(results: Sequence[Result], label: str) -> str:
    """Draw tau by number of sentences, with intervals, one line for each system.

    Args:
        results: The systems' results on one corpus.
        label: What the plot shows, for those who do not see it.

    Returns:
        An SVG element.
    """

    def draw(axes: Axes) -> None:
        groups = results[0].measurement.by_length
        for index, (result, (color, marker)) in enumerate(zip(results, style_series(results), strict=True)):
            tau = [group.kendall_tau for group in result.measurement.by_length]
            place = np.arange(len(tau)) + 0.12 * (index - (len(results) - 1) / 2)
            dashes: Any = (0, (3, 3)) if result.baseline else "-"
            axes.plot(place, tau, color=color, marker=marker, linestyle=dashes, zorder=2 if result.baseline else 3)
            for x, group in zip(place, result.measurement.by_length, strict=True):
                if group.interval is not None and not result.baseline:
                    axes.plot([x, x], group.interval, color=color, linewidth=3, alpha=0.35, solid_capstyle="round")
        axes.set_xticks(range(len(groups)), [format_length(group.shortest, group.longest) for group in groups])
        axes.set(xlabel="sentences", ylabel="Kendall's tau")
        axes.set_ylim(top=1.05)
        axes.grid(axis="y")

    return _draw(draw, label)


def draw_parts(parts: np.ndarray, color: str, label: str) -> str:
    """Draw a heat map of predicted against true positions.

    Args:
        parts: Shares of shape `(predicted, true)`.
        color: The system's, one of `SERIES`.
        label: What the plot shows, for those who do not see it.

    Returns:
        An SVG element.
    """

    def draw(axes: Axes) -> None:
        from matplotlib.colors import LinearSegmentedColormap, to_rgba

        colors = LinearSegmentedColormap.from_list("share", [to_rgba(color, 0), to_rgba(color, 1)])
        edges = np.linspace(0, 100, len(parts) + 1)
        mesh = axes.pcolormesh(edges, edges, 100 * parts, cmap=colors, vmin=0, edgecolors="none")
        axes.set(xlabel="true position, % of the document", ylabel="predicted position, %", aspect="equal")
        # A color bar of matplotlib's own would be a bitmap, which cannot change its color with the page.
        legend, steps = axes.inset_axes((1.06, 0.0, 0.05, 1.0)), np.linspace(0, mesh.norm.vmax or 1, 33)
        legend.pcolormesh([0, 1], steps, steps[1:, None], cmap=colors, vmin=0, edgecolors="none")
        legend.yaxis.tick_right()
        legend.yaxis.set_label_position("right")
        legend.set(xticks=[], ylabel="% of the sentences that belong there")

    return _draw(draw, label)


def draw_gaps(gaps: Sequence[GapGroup], color: str, label: str) -> str:
    """Draw how often a pair of sentences is in the right order, and how often the model says, against its score gap.

    Args:
        gaps: The groups of pairs.
        color: The system's, one of `SERIES`.
        label: What the plot shows, for those who do not see it.

    Returns:
        An SVG element.
    """

    def draw(axes: Axes) -> None:
        axes.axhline(50, color=RULE)
        if gaps[0].probability is not None:
            told = [100 * (group.probability or 0) for group in gaps]
            axes.plot([group.gap for group in gaps], told, color=MUTED, linestyle=(0, (3, 3)))
        axes.plot([group.gap for group in gaps], [100 * group.right for group in gaps], color=color, marker="o")
        axes.set(xlabel="gap between the scores of two sentences", ylabel="pairs in the right order, %")
        axes.set_xlim(left=0)
        axes.set_ylim(min(45, *(100 * group.right - 5 for group in gaps)), 102)
        axes.grid()

    return _draw(draw, label)


def _draw(draw: Any, label: str) -> str:
    """Let a function draw on axes, and return the figure as an SVG element in the page's colors."""
    import matplotlib
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none",  # Text stays text, in the page's font.
        "svg.hashsalt": label,  # Names within the file differ from plot to plot, and not from run to run.
        "text.parse_math": False,
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": RULE,
        "axes.labelcolor": INK,
        "grid.color": RULE,
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.8,
        "lines.markersize": 5,
        "text.color": INK,
        "xtick.color": RULE,
        "ytick.color": RULE,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(4.4, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.set_axisbelow(True)
        draw(axes)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    for pattern, replacement in (
        (r"(?s)<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>", ""),
        (r"font-family: [^;\"]*; ?", ""),  # The page's font.
        (r'<g id="[^"]*"', "<g"),  # These names would repeat from plot to plot.
        (r' (width|height)="[\d.]+pt"', ""),  # The page decides on the width, and the view box on the height.
        ("|".join(PAGE_COLORS), lambda match: PAGE_COLORS[match[0]]),
    ):
        svg = re.sub(pattern, replacement, svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
