"""Orders, probabilities and places as HTML and SVG, in the colors of the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from .asking import Answer
from .document import Document

# In longer documents each sentence has one line, and the heat map shows only so many sentences.
LONG_DOCUMENT = 25
HEAT_MAP_SENTENCES = 40


def draw_document(document: Document) -> str:
    """List the sentences in the order given, numbered, with their locks."""
    locks = dict(document.locks)
    notes = [f' <em class="note">locked at place {locks[i] + 1}</em>' if i in locks else "" for i in _range(document)]
    items = [
        f'<li><span dir="auto">{_text(sentence)}</span>{note}</li>'
        for sentence, note in zip(document.sentences, notes, strict=True)
    ]
    shuffled = "" if document.given == tuple(_range(document)) else ", shuffled"
    return f'<p class="note">{_count(len(items))}{shuffled}</p><ol class="given">{"".join(items)}</ol>'


def draw_answer(answer: Answer, locked: Sequence[int] = ()) -> str:
    """Draw the found order, with lines from the places where the sentences were given.

    Args:
        answer: The answer.
        locked: Sentences, indices of the order given, that were locked.

    Returns:
        HTML. Lines and shares have the color of how sure the model is, if it tells.
    """
    count = len(answer.order)
    sure = answer.sure or [math.nan] * count
    found, lines = [], []
    for place, (index, sentence, share) in enumerate(zip(answer.order, answer.sentences, sure, strict=True)):
        lock = ' <em class="note">locked</em>' if index in locked else ""
        told = "" if math.isnan(share) else f'<span class="share" style="{_color(share)}">{share:.0%}</span>'
        spoken = f'<span class="spoken"> (given at place {index + 1})</span>'
        found.append(
            f'<li><span class="place">{place + 1}</span>{told}'
            f'<span class="text" dir="auto">{_text(sentence)}{lock}{spoken}</span></li>'
        )
        path = f"M4 {index + 0.5}C50 {index + 0.5} 50 {place + 0.5} 96 {place + 0.5}"
        lines.append(f'<path style="{_color(share)}" d="{path}"/>')
    given = "".join(f'<li><span class="place">{place}</span></li>' for place in range(1, count + 1))
    kind = "move long" if count > LONG_DOCUMENT else "move"
    return (
        f'{_explain(answer)}<div class="{kind}"><ol aria-hidden="true">{given}</ol>'
        f'<svg viewBox="0 0 100 {count}" preserveAspectRatio="none" aria-hidden="true">{"".join(lines)}</svg>'
        f'<ol class="found">{"".join(found)}</ol></div>'
    )


def draw_heat_map(answer: Answer) -> str:
    """Draw the probabilities that sentences are read before others, in reading order; of long documents, of some."""
    if answer.slope is None:
        return (
            '<p class="note">No probabilities: the model\'s configuration has no <code>confidence_slope</code>. '
            "<code>fit_confidence</code> fits it on held-out documents.</p>"
        )
    count = len(answer.order)
    places = np.unique(np.linspace(0, count - 1, min(count, HEAT_MAP_SENTENCES)).round().astype(int)).tolist()
    probabilities = answer.pair_probabilities(places)
    cells = "".join(
        f'<rect x="{x}" y="{y}" width="1" height="1" style="{_color(p)}">'
        f"<title>{row + 1} before {column + 1}: {p:.0%}</title></rect>"
        for y, row in enumerate(places)
        for x, column in enumerate(places)
        if x > y
        for p in [float(probabilities[y, x])]
    )
    step = max(1, len(places) // 10)
    labels = "".join(
        f'<text x="{i + 0.5}" y="-0.25" text-anchor="middle">{place + 1}</text>'
        f'<text x="{i + 0.7}" y="{i + 0.65}" text-anchor="end">{place + 1}</text>'
        for i, place in enumerate(places)
        if i % step == 0
    )
    size, margin = len(places), 0.04 * len(places) + 0.3
    some = f"; {size} of the {count} sentences, evenly spaced" if size < count else ""
    return (
        f'<figure class="heat"><figcaption>How surely each sentence (row) comes before each later one (column), in the '
        f"order found{some}. {_scale()}</figcaption>"
        f'<svg role="img" aria-label="Heat map of the probabilities of {size * (size - 1) // 2} pairs of sentences" '
        f'style="max-width: {min(35, 4 * size + 4)}rem" font-size="{size / 36 + 0.1:.2f}" '
        f'viewBox="0 {-margin:.2f} {size} {size + margin:.2f}">'
        f"{cells}{labels}</svg></figure>"
    )


def draw_insertion(document: Document, sentence: str, probabilities: Sequence[float]) -> str:
    """Draw a document with one more sentence at its most probable place, and the probabilities of all places."""
    best = int(np.argmax(probabilities))
    items = []
    for place, share in enumerate(probabilities):
        width = f"width: {100 * share:.1f}%"
        new = f'<strong dir="auto">{_text(sentence.strip())}</strong>' if place == best else ""
        items.append(f'<li class="gap"><span class="bar" style="{width}"></span><span>{share:.0%}</span>{new}</li>')
        if place < len(document.natural):
            items.append(f'<li><span dir="auto">{_text(document.sentences[place])}</span></li>')
    where = f"in front of sentence {best + 1}" if best < len(document.natural) else "at the end"
    return (
        f"<p>It belongs <strong>{where}</strong>, with a probability of {probabilities[best]:.0%}. The document is "
        f'taken to be in order as it is given.</p><ol class="insertion">{"".join(items)}</ol>'
    )


def draw_orders(orders: Sequence[tuple[str, str, Sequence[int], Sequence[str]]]) -> str:
    """Draw orders of one document side by side.

    Args:
        orders: For each a title, what to say about it, the items and their texts, both in that order; the same items
            have the same number in all.

    Returns:
        HTML.
    """
    columns = []
    for title, note, items, texts in orders:
        rows = "".join(
            f'<li><span class="place">{item + 1}</span><span class="text" dir="auto">{_text(text)}</span></li>'
            for item, text in zip(items, texts, strict=True)
        )
        columns.append(f"<section><h3>{escape(title)}</h3><p>{escape(note)}</p><ol>{rows}</ol></section>")
    return f'<div class="orders">{"".join(columns)}</div>'


def format_tau(tau: float) -> str:
    """Format a tau, as in `Kendall's tau 0.60`; there is none for one sentence."""
    return "one sentence has one order" if math.isnan(tau) else f"Kendall's tau {tau:.2f}"


def _explain(answer: Answer) -> str:
    if answer.confidence is None:
        return '<p class="note">This model tells no confidence.</p>'
    return (
        f"<p><strong>{answer.confidence:.0%}</strong> of the pairs of sentences are expected to be in the right order; "
        f'half of them would be by chance. <span class="note">Beside each sentence: the share of its own pairs. '
        f"{_scale()}</span></p>"
    )


def _scale() -> str:
    return '<span class="scale"><span>50%</span><i></i><span>100%</span></span>'


def _color(share: float) -> str:
    """Mix the color of what is unsure, one half or less, with that of what is sure; grey if it is not known."""
    if math.isnan(share):
        return "--sure: var(--muted)"
    percent = 100 * min(1.0, max(0.0, 2 * share - 1))
    return f"--sure: color-mix(in oklab, var(--series-1) {percent:.0f}%, var(--series-2))"


def _text(text: str) -> str:
    return escape(text)


def _count(number: int) -> str:
    return f"{number:,} sentence{'' if number == 1 else 's'}"


def _range(document: Document) -> range:
    return range(len(document.given))
