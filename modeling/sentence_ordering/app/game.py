"""The game: put the sentences in order yourself, then see what the model and the text say."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from .asking import Answer, kendall_tau
from .document import Document
from .drawing import draw_orders, format_tau

# The list that sentences are dragged in has this id, which `READ_ORDER` looks for.
LIST = "game-list"
SCRIPT = Path(__file__).with_name("game.js").read_text(encoding="utf-8")
# Puts the order of the list into the last argument of an event.
READ_ORDER = (
    "(...inputs) => [...inputs.slice(0, -1), JSON.stringify("
    f"[...document.querySelectorAll('#{LIST} li')].map((item) => Number(item.dataset.index)))]"
)


def draw_game(document: Document) -> str:
    """Draw the list of sentences, in the order given, that is put in order by dragging, or by its buttons."""
    items = "".join(
        f'<li data-index="{index}"><span class="handle" aria-hidden="true">⠿</span>'
        f'<span class="text" dir="auto">{escape(sentence)}</span>'
        f'<button type="button" data-step="-1" aria-label="Move up: {escape(sentence)}">↑</button>'
        f'<button type="button" data-step="1" aria-label="Move down: {escape(sentence)}">↓</button></li>'
        for index, sentence in enumerate(document.sentences)
    )
    return f'<ol id="{LIST}">{items}</ol><p class="note" role="status"></p>'


def read_order(told: str, document: Document) -> list[int]:
    """Read the order that `READ_ORDER` tells.

    Args:
        told: A JSON list of indices of the order given.
        document: The document.

    Returns:
        The indices.

    Raises:
        ValueError: If these are not all sentences of the document, once each.
    """
    order = json.loads(told or "[]")
    if sorted(order) != list(range(len(document.given))):
        raise ValueError("The game shows another text. Start it again.")
    return order


def draw_result(document: Document, own: list[int], answer: Answer) -> str:
    """Draw the player's order, the model's and that of the text side by side; numbers are those of the text."""
    natural = list(range(len(document.natural)))
    columns = []
    for title, order in (("Yours", own), ("The model's", answer.order)):
        items = [document.given[index] for index in order]
        columns.append((title, format_tau(kendall_tau(items, natural)), items, [document.natural[i] for i in items]))
    columns.append(("The text", "the natural order", natural, list(document.natural)))
    return draw_orders(columns)
