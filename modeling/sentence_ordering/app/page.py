"""The page: a text, and what orderers say about it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any, Literal

# Before gradio is imported: it reports nothing about who uses it.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
from starlette.middleware import Middleware

from ..looks import DARK, FONTS, LIGHT, css_variables
from .asking import insert_sentence, kendall_tau, order_document
from .document import LANGUAGES, ONE_A_LINE, Document, examples
from .drawing import draw_answer, draw_document, draw_heat_map, draw_insertion, draw_orders, format_tau
from .game import READ_ORDER, SCRIPT, draw_game, draw_result, read_order
from .policy import SameOrigin

STYLE = f":root {{ {css_variables(LIGHT)} }}\n.dark {{ {css_variables(DARK)} }}\n" + Path(__file__).with_name(
    "page.css"
).read_text(encoding="utf-8")

# By this default, gradio knows the argument that it puts an event's progress into.
PROGRESS = gr.Progress()


def open_page(
    models: Sequence[str], *, any_model: bool = True, port: int | None = None, open_browser: bool = False
) -> None:
    """Serve the page on this machine until the process is interrupted.

    Args:
        models: Names, folders or Hub ids of orderers; the first one is chosen to begin with.
        any_model: Whether visitors may name other models, which are then loaded; not where they are strangers.
        port: The port; by default the first free one from 7860, or what GRADIO_SERVER_PORT says.
        open_browser: Whether to open the page in the browser.

    Raises:
        OSError: If the port is taken.
    """
    build_page(models, any_model=any_model).launch(
        server_port=port,
        inbrowser=open_browser,
        share=False,
        ssr_mode=False,
        footer_links=[],
        css=STYLE,
        theme=_theme(),
        app_kwargs={"middleware": [Middleware(SameOrigin)]},
    )


def build_page(models: Sequence[str], *, any_model: bool = True) -> gr.Blocks:
    """Build the page; arguments as for `open_page`."""
    with gr.Blocks(title="Sentence ordering", analytics_enabled=False) as page:
        gr.Markdown("# Sentence ordering\nA model reads the sentences of a text in any order, and puts them in order.")
        document = gr.State(Document())
        with gr.Row():
            text = gr.Textbox(label="Text", lines=8, max_lines=16, scale=3)
            with gr.Column(scale=1, min_width=260):
                model = _model_input("Model", models, models[0], any_model)
                language = gr.Dropdown(LANGUAGES, value="en", label="Language", allow_custom_value=True)
                example = gr.Dropdown(list(examples()), value=None, label="Load an example")
        with gr.Row():
            shuffle, unshuffle = _button("Shuffle"), _button("As in the text")
        given = _html()
        read = [text, language, document]
        shown = [document, given]

        with gr.Tab("Order"):
            order = _button("Order", "primary")
            with gr.Row(elem_classes="locks"):
                sentence = gr.Number(label="Sentence", value=1, minimum=1, precision=0, min_width=100)
                place = gr.Number(label="Place", value=1, minimum=1, precision=0, min_width=100)
                lock, unlock = _button("Lock it there"), _button("Unlock all")
            with gr.Row():
                with gr.Column(scale=3, min_width=320):
                    answer = _html()
                with gr.Column(scale=2, min_width=320):
                    heat = _html()
        with gr.Tab("Insert"):
            new = gr.Textbox(label="A sentence to insert")
            insert = _button("Find its place", "primary")
            inserted = _html()
        with gr.Tab("Compare", visible=any_model or len(models) > 1):
            second = _model_input("With the model", models, models[1] if len(models) > 1 else None, any_model)
            compare = _button("Compare", "primary")
            compared = _html()
        with gr.Tab("Play"):
            gr.Markdown("Put the sentences in order yourself: drag them, or use the arrows beside them.")
            start = _button("Start", "primary")
            game = _html(js_on_load=SCRIPT)
            played, told = gr.State(Document()), gr.Textbox(visible="hidden")
            finish = _button("See the model's order")
            result = _html()

        answers = [answer, heat, inserted, compared]
        cleared = [*shown, *answers]
        # Were two worked on at once, the one that reads the text could end last, and clear the answer.
        turns: dict[str, Any] = {"concurrency_id": "page", "concurrency_limit": 1}
        # Not its input: that comes also when somebody leaves the field, and would put an example over their own text.
        example.change(_load, example, [example, text, language], **turns)
        # Not when the field is left, which a click on a button does: the list that appears would move the button away
        # from under the pointer before it is let go.
        text.change(_read, read, cleared, **turns)
        language.input(_read, read, cleared, **turns)
        shuffle.click(_shuffle, read, cleared, **turns)
        unshuffle.click(_unshuffle, read, cleared, **turns)
        drawn: dict[str, Any] = {"outputs": [*shown, answer, heat], "show_progress_on": answer, **turns}
        order.click(_order, [model, *read], **drawn)
        lock.click(_lock, [model, *read, sentence, place], **drawn)
        unlock.click(_unlock, [model, *read], **drawn)
        asked = [insert.click, new.submit]
        gr.on(asked, _insert, [model, *read, new], [*shown, inserted], show_progress_on=inserted, **turns)
        compare.click(_compare, [model, second, *read], [*shown, compared], show_progress_on=compared, **turns)
        start.click(_start, read, [*shown, played, game, result], **turns)
        finish.click(_finish, [model, played, told], result, js=READ_ORDER, **turns)
    return page


def _theme() -> gr.themes.Base:
    """Build gradio's theme in our colors; its own fonts are left out."""
    both = {
        "body_background_fill": "page",
        "body_text_color": "ink",
        "body_text_color_subdued": "muted",
        "background_fill_primary": "card",
        "background_fill_secondary": "page",
        "block_background_fill": "card",
        "block_border_color": "rule",
        "block_label_background_fill": "card",
        "block_label_text_color": "muted",
        "block_title_text_color": "muted",
        "block_info_text_color": "muted",
        "border_color_primary": "rule",
        "input_background_fill": "card",
        "input_border_color": "rule",
        "input_placeholder_color": "muted",
        "button_primary_background_fill": "series-1",
        "button_primary_background_fill_hover": "series-1",
        "button_primary_text_color": "card",
        "button_secondary_background_fill": "card",
        "button_secondary_border_color": "rule",
        "button_secondary_text_color": "ink",
        "color_accent": "series-1",
    }
    colors = {name: f"var(--{color})" for name, color in both.items()}
    dark = {f"{name}_dark": color for name, color in colors.items() if name != "color_accent"}
    return gr.themes.Base(font=FONTS, font_mono=("ui-monospace", "monospace")).set(**colors, **dark)


def _model_input(label: str, models: Sequence[str], value: str | None, any_model: bool) -> gr.Dropdown:
    return gr.Dropdown(list(models), value=value, label=label, allow_custom_value=any_model, filterable=any_model)


def _html(**options: Any) -> gr.HTML:
    """Make a place for what is drawn, with our own style alone."""
    return gr.HTML(elem_classes="so", apply_default_css=False, **options)


def _button(label: str, variant: Literal["primary", "secondary"] = "secondary") -> gr.Button:
    """Make a button that is as wide as what stands on it."""
    return gr.Button(label, variant=variant, scale=0, min_width=150)


class _Told:
    """Runs the library within an event, whose failures are told on the page as the library words them."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (ImportError, OSError, TypeError, ValueError)):
            # Shown as HTML, for long enough to read it twice.
            raise gr.Error(escape(str(error)), duration=20, title="", print_exception=False) from error


def _count_batches(progress: gr.Progress) -> Callable[[int], None]:
    """Tell how much of a document was read; of one in windows it is not known before how much there is to read."""
    read = 0

    def tell(finished: int) -> None:
        nonlocal read
        read += 1
        progress((read, None), unit="batch read" if read == 1 else "batches read")

    return tell


def _show(document: Document) -> tuple[Document, str]:
    return document, draw_document(document)


def _load(example: str | None) -> tuple[Any, ...]:
    """Load an example, and empty the field, so that the same one can be loaded again."""
    if example is None:
        return (gr.skip(),) * 3
    return None, examples()[example], ONE_A_LINE


def _read(text: str, language: str, document: Document) -> tuple[Any, ...]:
    """Read the text if there is one, and if it has changed."""
    if not text.strip() or document.source == (text, language):
        return (gr.skip(),) * 6
    with _Told():
        return *_show(document.read(text, language)), "", "", "", ""


def _shuffle(text: str, language: str, document: Document) -> tuple[Any, ...]:
    with _Told():
        return *_show(document.read(text, language).shuffle()), "", "", "", ""


def _unshuffle(text: str, language: str, document: Document) -> tuple[Any, ...]:
    with _Told():
        return *_show(document.read(text, language).unshuffle()), "", "", "", ""


def _answer(model: str, document: Document, progress: gr.Progress) -> tuple[Any, ...]:
    answer = order_document(model, document, _count_batches(progress))
    return *_show(document), draw_answer(answer, [sentence for sentence, _ in document.locks]), draw_heat_map(answer)


def _order(
    model: str, text: str, language: str, document: Document, progress: gr.Progress = PROGRESS
) -> tuple[Any, ...]:
    with _Told():
        return _answer(model, document.read(text, language), progress)


def _lock(
    model: str,
    text: str,
    language: str,
    document: Document,
    sentence: int | None,
    place: int | None,
    progress: gr.Progress = PROGRESS,
) -> tuple[Any, ...]:
    with _Told():
        return _answer(model, document.read(text, language).lock((sentence or 0) - 1, (place or 0) - 1), progress)


def _unlock(
    model: str, text: str, language: str, document: Document, progress: gr.Progress = PROGRESS
) -> tuple[Any, ...]:
    with _Told():
        return _answer(model, document.read(text, language).unlock(), progress)


def _insert(
    model: str, text: str, language: str, document: Document, new: str, progress: gr.Progress = PROGRESS
) -> tuple[Any, ...]:
    with _Told():
        document = document.read(text, language)
        probabilities = insert_sentence(model, document, new, _count_batches(progress))
        return *_show(document), draw_insertion(document, new, probabilities)


def _compare(
    model: str, second: str | None, text: str, language: str, document: Document, progress: gr.Progress = PROGRESS
) -> tuple[Any, ...]:
    with _Told():
        document = document.read(text, language)
        if not second or second == model:
            raise ValueError("There is one model to compare. Name another one beside it.")
        answers = {name: order_document(name, document, _count_batches(progress)) for name in (model, second)}
        orders = {name: [document.given[i] for i in answer.order] for name, answer in answers.items()}
        natural = list(range(len(document.natural)))
        drawn = [
            (name, f"{format_tau(kendall_tau(order, natural))} with the text", order, answers[name].sentences)
            for name, order in orders.items()
        ]
        agreement = format_tau(kendall_tau(orders[model], orders[second]))
        return *_show(document), f"<p>{agreement} between the two.</p>{draw_orders(drawn)}"


def _start(text: str, language: str, document: Document) -> tuple[Any, ...]:
    with _Told():
        document = document.read(text, language).shuffle()
        return *_show(document), document, draw_game(document), ""


def _finish(model: str, played: Document, told: str, progress: gr.Progress = PROGRESS) -> str:
    with _Told():
        if not played.given:
            raise ValueError("Start the game first.")
        own = read_order(told, played)
        return draw_result(played, own, order_document(model, played, _count_batches(progress)))
