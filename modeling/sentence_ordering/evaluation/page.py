"""Results as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from ..looks import DARK, FONTS, LIGHT, css_variables
from ..model.configuration_sentence_ordering import __version__
from .plots import (
    BASELINE_MARKERS,
    MARKERS,
    PAGE_COLORS,
    can_plot,
    draw_gaps,
    draw_lengths,
    draw_parts,
    style_series,
)
from .results import CorpusResults, Result, Settings, tau_by_corpus
from .statistics import Estimate
from .summary import explain_thresholds, summarize
from .tables import (
    COLUMNS,
    break_down,
    count_documents,
    format_interval,
    format_number,
)

# In longer documents each sentence has one line.
LONG_DOCUMENT = 25


def format_page(results: Sequence[CorpusResults], settings: Settings) -> str:
    """Format results as an HTML page that needs nothing else: no script, no network.

    Args:
        results: The results, of at least one corpus.
        settings: How was measured.

    Returns:
        The page; without plots, and saying so, if matplotlib is not installed.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(number=format_number, interval=format_interval)
    return environment.get_template("page.html").render(
        results=results,
        overview=tau_by_corpus(results) if len(results) > 1 else None,
        settings=settings,
        version=__version__,
        light=css_variables(LIGHT),
        dark=css_variables(DARK),
        fonts=", ".join(FONTS),
        summarize=summarize,
        thresholds=explain_thresholds(),
        columns=COLUMNS,
        break_down=break_down,
        can_plot=can_plot(),
        count_documents=count_documents,
        legend=_legend,
        plot_lengths=_plot_lengths,
        plot_model=_plot_model,
        place_on_bar=_place_on_bar,
        long_document=LONG_DOCUMENT,
    )


def _legend(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Return the page's color and character of each system."""
    characters = MARKERS | BASELINE_MARKERS
    return [(PAGE_COLORS[color], characters[marker]) for color, marker in style_series(results)]


def _plot_lengths(results: Sequence[Result], corpus: str) -> Markup:
    label = f"Line plot: Kendall's tau by number of sentences on {corpus}, one line for each system"
    return Markup(draw_lengths(results, label))  # noqa: S704  # Our own SVG, with the label escaped.


def _plot_model(result: Result, results: Sequence[Result], corpus: str) -> dict[str, Markup]:
    """Draw the plots of one model in its color."""
    styles = zip(results, style_series(results), strict=True)
    color = next(color for other, (color, _) in styles if other is result)
    measurement, of = result.measurement, f"of {result.system} on {corpus}"
    first, last = measurement.gaps[0], measurement.gaps[-1]
    return {
        "parts": Markup(draw_parts(measurement.parts, color, f"Heat map: predicted against true positions {of}")),
        "gaps": Markup(
            draw_gaps(
                measurement.gaps,
                color,
                f"Line plot: share of pairs in the right order by score gap, {of}; it goes from {first.right:.0%} at a "
                f"gap of {first.gap:.2f} to {last.right:.0%} at a gap of {last.gap:.2f}",
            )
        ),
    }


def _place_on_bar(tau: Estimate) -> dict[str, float]:
    """Place a tau and its interval on a bar from 0 to 1, in percent."""
    values = tau.interval or (tau.mean, tau.mean)
    low, high, mean = (100 * min(1.0, max(0.0, value)) for value in (*values, tau.mean))
    return {"low": low, "width": high - low, "mean": mean}
