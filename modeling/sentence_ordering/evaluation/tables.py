"""Results as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..training.positions import PARTS
from .results import CorpusResults, Result, Settings, TaskResult, tau_by_corpus
from .statistics import Estimate, Interval

# The columns of the main table, after Kendall's tau.
COLUMNS = {"pmr": "PMR", "accuracy": "accuracy", "spearman": "Spearman", "first": "first", "last": "last"}
# Those of the table that tells how far orders are from the right one.
DISTANCES = {"adjacent": "neighbours", "moves": "moves", "displacement": "places off"}
# Those of the tables of tasks other than ordering.
TASK_COLUMNS = {
    "insert": {
        "right": "right place",
        "chance": "at random",
        "off": "places off",
        "calibration_error": "calibration error",
    },
    "coherence": {
        "over_random": "over a random order",
        "over_swapped": "over two neighbours swapped",
        "calibration_error": "calibration error",
    },
}
DISTANCES_CAPTION = (
    "Neighbours right, moves needed, and places off, also by the part of the document that a sentence belongs to"
)


def format_number(value: float | None) -> str:
    """Format a figure with three decimals.

    Example:
        >>> format_number(-0.25), format_number(-1e-9), format_number(None)
        ('-0.250', '0.000', '–')
    """
    return "–" if value is None or math.isnan(value) else f"{round(value, 3) + 0.0:.3f}"


def format_interval(interval: Interval | None) -> str:
    """Format an interval, as in `0.594 to 0.731`."""
    return "–" if interval is None else f"{format_number(interval[0])} to {format_number(interval[1])}"


def format_length(shortest: int, longest: int) -> str:
    """Format a range of numbers of sentences, as in `6–7`."""
    return str(shortest) if shortest == longest else f"{shortest}–{longest}"


def format_part(part: int) -> str:
    """Format a part of a document, as in `0–10 %`."""
    return f"{100 * part // PARTS}–{100 * (part + 1) // PARTS} %"


def count_documents(results: CorpusResults, settings: Settings) -> str:
    """Say how much was measured, as in `42 documents, each in 5 input orders`."""
    measurement = results.results[0].measurement
    documents = f"{measurement.documents:,} document{'' if measurement.documents == 1 else 's'}"
    orders = f", each in {settings.input_orders} input orders" if settings.input_orders > 1 else ""
    averaged = f"; models average {settings.num_shuffles} shuffles of each" if settings.num_shuffles > 1 else ""
    skipped = measurement.documents_skipped
    left_out = f"; {skipped:,} of fewer than 2 sentences or of unknown order left out" if skipped else ""
    return documents + orders + averaged + left_out


@dataclass
class Breakdown:
    """A table that tells more of each system than the main one.

    Args:
        caption: What its figures are.
        corner: What its columns are, if they need to be told.
        titles: The titles of the columns behind the systems.
        rows: The figures of each system.
        documents: How many documents each column is about, if they differ.
    """

    caption: str
    corner: str
    titles: list[str]
    rows: list[list[str]]
    documents: list[str]


def break_down(results: Sequence[Result]) -> list[Breakdown]:
    """Tabulate distances, and tau by number of sentences if there are documents of several groups."""
    tables = [
        Breakdown(
            DISTANCES_CAPTION,
            "",
            [*DISTANCES.values(), *(format_part(part) for part in range(PARTS))],
            [
                [format_number(result.measurement.metrics[name].mean) for name in DISTANCES]
                + [format_number(places) for places in result.measurement.displacements]
                for result in results
            ],
            [],
        )
    ]
    groups = results[0].measurement.by_length
    if len(groups) > 1:
        tables.append(
            Breakdown(
                "Kendall's tau by number of sentences",
                "sentences",
                [format_length(group.shortest, group.longest) for group in groups],
                [[format_number(group.kendall_tau) for group in result.measurement.by_length] for result in results],
                [f"{group.documents:,}" for group in groups],
            )
        )
    return tables


def format_markdown(results: Sequence[CorpusResults], settings: Settings) -> str:
    """Format results as Markdown: for every corpus tables of metrics, of distances, and of tau by number of sentences.

    Args:
        results: The results.
        settings: How was measured.

    Returns:
        Markdown text.
    """
    tables = [_format_corpus(corpus, settings) for corpus in results]
    if len(results) > 1:
        tables.insert(0, "### Kendall's tau\n\n" + _format_overview(results))
    return "\n\n".join(tables) + "\n"


def format_task_markdown(results: Sequence[TaskResult], task: str) -> str:
    """Format the results of a task other than ordering as a table, each figure with its 95 % interval."""
    columns = TASK_COLUMNS[task]
    head = ["", "corpus", "documents", *columns.values()]
    rows = []
    for result in results:
        figures = [result.measurement.figures.get(name) for name in columns]
        rows.append(
            [_escape(result.system), _escape(result.corpus), f"{result.measurement.documents:,}"]
            + ["–" if figure is None else _format_estimate(figure) for figure in figures]
        )
    return _table(head, rows) + "\n"


def _format_estimate(estimate: Estimate) -> str:
    """Format a mean with its interval, as in `0.600 (0.520 to 0.680)`."""
    mean = format_number(estimate.mean)
    return mean if estimate.interval is None else f"{mean} ({format_interval(estimate.interval)})"


def _format_overview(results: Sequence[CorpusResults]) -> str:
    head = ["", *(_escape(corpus.corpus) for corpus in results)]
    return _table(head, [[_escape(name), *map(format_number, taus)] for name, taus in tau_by_corpus(results).items()])


def _format_corpus(results: CorpusResults, settings: Settings) -> str:
    head = ["", "Kendall's tau", "95 % interval", "± over input orders", *COLUMNS.values(), "same order"]
    rows = []
    for result in results.results:
        metrics, tau = result.measurement.metrics, result.measurement.metrics["kendall_tau"]
        rows.append(
            [_escape(result.system), format_number(tau.mean), format_interval(tau.interval), format_number(tau.spread)]
            + [format_number(metrics[name].mean) for name in COLUMNS]
            + [format_number(result.measurement.same_order)]
        )
    lines = [f"### {_escape(results.corpus)}", count_documents(results, settings) + ".", _table(head, rows)]
    for breakdown in break_down(results.results):
        rows = [[_escape(system), *figures] for system, figures in zip(_systems(results), breakdown.rows, strict=True)]
        if breakdown.documents:
            rows.insert(0, ["documents", *breakdown.documents])
        lines.append(f"{breakdown.caption}:\n\n" + _table([breakdown.corner, *breakdown.titles], rows))
    return "\n\n".join(lines)


def _systems(results: CorpusResults) -> list[str]:
    return [result.system for result in results.results]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table whose columns line up as plain text, too."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [
        "| " + " | ".join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(cells)) + " |"
        for cells in (list(zip(row, widths, strict=True)) for row in [head, *rows])
    ]
    rule = "|" + "|".join("-" * (width + 1) + (":" if i else "-") for i, width in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _escape(text: str) -> str:
    """Write text so that it cannot end a cell or become a tag."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "\\<").replace("\n", " ")
