"""The page in headless Chromium, by clicks and by keys, served by the program itself."""

import os
import re
import socket
import subprocess
import threading
import time
import urllib.request

import pytest
import torch
from browsing import CONTRASTS, chromium

from sentence_ordering import AutoModelForSentenceOrdering

pytest.importorskip("gradio")
pytest.importorskip("sentencex")

pytestmark = pytest.mark.slow

SENTENCES = [
    "Tom was hungry.",
    "So he bought a cake.",
    "He ate it all at once.",
    "Then he felt sick.",
    "He went to bed.",
]
TEXT = " ".join(SENTENCES)
LOCAL = ("http://127.0.0.1:", "data:", "blob:")
INJECTION = "<img src=x onerror=\"document.title='taken over'\">${document.title='taken over'}{{value}}"


class Witness:
    """A proxy that lets nothing through, and counts who tried."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.asked = []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            connection, _ = self.socket.accept()
            self.asked.append(connection.recv(500).split(b"\r\n")[0])
            connection.close()


@pytest.fixture(scope="module")
def witness():
    return Witness()


@pytest.fixture(scope="module")
def orderers(encoder_folder, tokenizer, tmp_path_factory):
    """An orderer that tells confidence, and one that does not."""
    torch.manual_seed(0)  # The head is drawn at random, and places may be about as probable.
    model = AutoModelForSentenceOrdering.from_pretrained(encoder_folder)
    folders = [tmp_path_factory.mktemp("orderers") / name for name in ("sure", "unsure")]
    for folder, slope in zip(folders, (1.5, None), strict=True):
        model.config.confidence_slope = slope
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return [str(folder) for folder in folders]


@pytest.fixture(scope="module")
def serve(witness, python_with_torch):
    """Starts a program that serves the page, and returns the page's address when it answers."""
    processes = []

    def serve(*command, **options):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), witness.url) | {
            "NO_PROXY": "127.0.0.1,localhost"
        }
        environment = os.environ | proxies | {"GRADIO_SERVER_PORT": str(port), "HF_HUB_OFFLINE": "0"}
        processes.append(subprocess.Popen([python_with_torch, *command], env=environment, **options))
        url = f"http://127.0.0.1:{port}/"
        for _ in range(1200):
            assert processes[-1].poll() is None, "the program has ended"
            try:
                with urllib.request.urlopen(url) as answer:
                    assert answer.status == 200
                return url
            except OSError:
                time.sleep(0.5)
        raise AssertionError("nothing is served")

    yield serve
    for process in processes:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def address(serve, orderers):
    return serve("-m", "sentence_ordering", "app", "--model", *orderers, "--no_open_browser")


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def context(browser):
    """What pages share, so that only the first one has to be loaded from the program."""
    return browser.new_context(viewport={"width": 1600, "height": 1000})


@pytest.fixture
def page(context, address):
    """The page in a wide window, with what went wrong in it."""
    yield from visit(context.new_page(), address)


# What pages asked for elsewhere. Chromium itself asks its maker for news, so that a proxy would see too much.
ELSEWHERE = []


def visit(window, address):
    window.faults = []
    window.on("request", lambda request: None if request.url.startswith(LOCAL) else ELSEWHERE.append(request.url))
    window.on("console", lambda message: window.faults.append(message.text) if message.type == "error" else None)
    window.on("pageerror", lambda error: window.faults.append(str(error)))
    window.set_default_timeout(90_000)
    window.goto(address)
    window.get_by_role("button", name="Shuffle").wait_for()
    yield window
    window.close()


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def paste(page, text):
    page.get_by_label("Text", exact=True).fill(text)
    page.locator("ol.given li").first.wait_for()  # It moves the buttons below it.


def texts(page, selector):
    page.locator(selector).first.wait_for()
    return page.locator(selector).evaluate_all("(found) => found.map((e) => e.firstChild.textContent.trim())")


def test_text_is_split_shuffled_and_put_in_order(page):
    paste(page, TEXT)
    sentences = texts(page, "ol.given li")
    assert sentences == SENTENCES
    press(page, "Shuffle")
    page.get_by_text("5 sentences, shuffled").wait_for()
    given = texts(page, "ol.given li")
    assert given != sentences and sorted(given) == sorted(sentences)
    press(page, "Order")
    found = texts(page, "ol.found .text")
    assert sorted(found) == sorted(sentences)
    ends = page.evaluate(
        """() => {
          const middles = (list) => [...document.querySelectorAll(`.move ${list} > li`)].map((item) => {
            const box = item.getBoundingClientRect(); return (box.top + box.bottom) / 2; });
          const [given, found] = [middles("ol:first-child"), middles("ol.found")];
          const paths = [...document.querySelectorAll(".move path")];
          return paths.map((path) => [0, path.getTotalLength()].map((at, end) => {
            const y = path.getPointAtLength(at).matrixTransform(path.getScreenCTM()).y;
            return [given, found][end].findIndex((middle) => Math.abs(middle - y) < 3); }));
        }"""
    )
    assert [found[to] for _, to in ends] == [given[start] for start, _ in ends] and len(ends) == 5
    assert page.locator(".heat rect").count() == 10
    shares = [int(share.rstrip("%")) for share in texts(page, ".found .share")]
    assert len(shares) == 5 and all(50 <= share <= 100 for share in shares)
    press(page, "As in the text")
    page.get_by_text("5 sentences", exact=True).wait_for()
    assert texts(page, "ol.given li") == sentences
    assert page.locator(".found").count() == 0  # It was the answer for another order.
    assert page.faults == []


def test_sentences_are_shown_while_they_are_typed(page):
    page.get_by_label("Text", exact=True).press_sequentially("He ran. She slept.")
    page.locator("ol.given li").nth(1).get_by_text("She slept.").wait_for()
    assert texts(page, "ol.given li") == ["He ran.", "She slept."]


def test_events_of_a_page_are_worked_on_one_after_the_other():
    from sentence_ordering.app.page import build_page  # needs gradio

    events = build_page(["general"]).fns.values()
    assert {(event.queue, event.concurrency_id, event.concurrency_limit) for event in events} == {(True, "page", 1)}


def test_locked_sentence_stands_at_its_place(page):
    paste(page, TEXT)
    press(page, "Order")
    first = texts(page, "ol.found .text")[0]
    number = texts(page, "ol.given li").index(first) + 1
    page.get_by_label("Sentence", exact=True).fill(str(number))
    page.get_by_label("Place", exact=True).fill("4")
    press(page, "Lock it there")
    page.get_by_text("locked at place 4").wait_for()
    assert texts(page, "ol.found .text")[3].startswith(first)
    page.get_by_label("Sentence", exact=True).fill(str(number % 5 + 1))
    press(page, "Lock it there")
    page.get_by_text(f"Sentence {number} is already locked at place 4.").wait_for()
    press(page, "Unlock all")
    page.locator("ol.given em").wait_for(state="detached")
    assert texts(page, "ol.found .text")[0] == first


def test_sentence_is_inserted(page):
    paste(page, TEXT)
    page.get_by_role("tab", name="Insert").click()
    press(page, "Find its place")
    page.get_by_text("There is no sentence to insert yet. Write one.").wait_for()
    page.get_by_label("A sentence to insert").fill("It was a large cake.")
    page.get_by_label("A sentence to insert").press("Enter")
    shares = [int(share.rstrip("%")) for share in texts(page, ".insertion .gap span:nth-child(2)")]
    assert len(shares) == 6 and abs(sum(shares) - 100) <= 3
    assert texts(page, ".insertion strong") == ["It was a large cake."]
    assert page.locator(".insertion .gap").nth(shares.index(max(shares))).locator("strong").count() == 1


def test_two_models_are_compared(page, orderers):
    paste(page, TEXT)
    page.get_by_role("tab", name="Compare").click()
    press(page, "Compare")
    page.get_by_text("Kendall's tau 1.00 between the two.").wait_for()
    assert texts(page, ".orders h3") == orderers
    columns = [column.locator(".text").all_inner_texts() for column in page.locator(".orders section").all()]
    assert columns[0] == columns[1] and len(columns[0]) == 5
    page.get_by_label("With the model").fill(orderers[0])
    page.get_by_label("With the model").press("Enter")
    press(page, "Compare")
    page.get_by_text("There is one model to compare. Name another one beside it.").wait_for()


def test_model_that_tells_no_confidence_is_shown_without(page, orderers):
    paste(page, TEXT)
    page.get_by_label("Model", exact=True).fill(orderers[1])
    page.get_by_label("Model", exact=True).press("Enter")
    press(page, "Order")
    page.get_by_text("This model tells no confidence.").wait_for()
    assert page.locator(".found .share").count() == 0
    page.get_by_role("tab", name="Insert").click()
    page.get_by_label("A sentence to insert").fill("It was a large cake.")
    press(page, "Find its place")
    page.get_by_text("The model's configuration has no `confidence_slope`").wait_for()


def test_game_is_played_by_dragging(page):
    page.get_by_role("tab", name="Play").click()
    paste(page, TEXT)
    press(page, "Start")
    rows = page.locator("#game-list li")
    rows.first.wait_for()
    before = texts(page, "#game-list .text")
    start, end = rows.nth(0).bounding_box(), rows.nth(3).bounding_box()
    page.mouse.move(start["x"] + 60, start["y"] + 8)
    page.mouse.down()
    for step in range(1, 11):
        page.mouse.move(start["x"] + 60, start["y"] + 8 + (end["y"] + end["height"] - 4 - start["y"] - 8) * step / 10)
    page.mouse.up()
    assert texts(page, "#game-list .text") == [*before[1:4], before[0], before[4]]
    page.get_by_text("Moved to place 4 of 5.").wait_for()


def test_everything_is_done_with_keys_alone(page):
    keys = page.keyboard
    tab_to(page, "Load an example", "field")
    for key in ("ArrowDown", "Enter"):
        keys.press(key)
    page.get_by_text(re.compile(r"^\d sentences$")).wait_for()
    tab_to(page, "Text", "field")
    keys.press("Control+A")
    keys.type(TEXT)
    tab_to(page, "Language", "field")
    keys.press("Control+A")
    keys.type("English")
    keys.press("Enter")
    act(page, "Shuffle")
    page.get_by_text("5 sentences, shuffled").wait_for()

    act(page, "Order")
    first = texts(page, "ol.found .text")[0]
    given = texts(page, "ol.given li")
    for name, number in (("Sentence", given.index(first) + 1), ("Place", 4)):
        tab_to(page, name, "field")
        keys.press("Control+A")
        keys.type(str(number))
    act(page, "Lock it there")
    page.get_by_text("locked at place 4").wait_for()
    assert texts(page, "ol.found .text")[3] == first
    act(page, "Unlock all")
    page.locator("ol.given em").wait_for(state="detached")
    act(page, "As in the text")
    page.get_by_text("5 sentences", exact=True).wait_for()

    act(page, "Insert", "tab")
    tab_to(page, "A sentence to insert", "field")
    keys.type("It was a large cake.")
    keys.press("Enter")
    assert texts(page, ".insertion strong") == ["It was a large cake."]

    act(page, "Compare", "tab")
    act(page, "Compare")
    page.get_by_text("Kendall's tau 1.00 between the two.").wait_for()

    act(page, "Play", "tab")
    act(page, "Start")
    page.locator("#game-list li").first.wait_for()
    for place, sentence in enumerate(SENTENCES):
        at = texts(page, "#game-list .text").index(sentence)
        if at > place:
            tab_to(page, f"Move up: {sentence}", "button")
        for above in range(at, place, -1):
            keys.press("Enter")
            page.get_by_text(f"Moved to place {above} of 5.").wait_for()
    act(page, "See the model's order")
    page.get_by_role("heading", name="Yours").wait_for()
    shown = page.locator(".orders section").filter(visible=True)
    assert shown.locator("h3").all_inner_texts() == ["Yours", "The model's", "The text"]
    notes = shown.locator("> p").all_inner_texts()
    assert notes[0] == "Kendall's tau 1.00" and re.fullmatch(r"Kendall's tau -?[01]\.\d\d", notes[1])
    assert shown.nth(2).locator(".text").all_inner_texts() == SENTENCES
    assert page.faults == []


def act(page, name, role="button"):
    """Do with keys what a click on a button or a tab does."""
    tab_to(page, name, role)
    page.keyboard.press("Enter")


def tab_to(page, name, role):
    """Press Tab until the focus is on what has this name, and this role or kind of element."""
    for _ in range(120):
        at = page.evaluate(
            """((at) => [(at.ariaLabel || at.labels?.[0]?.innerText || at.textContent).trim(),
              at.matches("input, textarea") ? "field" : at.role || at.localName])(document.activeElement)"""
        )
        if at == [name, role]:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name} is not reached")


def test_long_document_shows_progress(page):
    page.get_by_label("Load an example").click()
    page.get_by_role("option", name="A long document").click()
    page.get_by_text(re.compile(r"^\d{3} sentences$")).wait_for()
    page.evaluate(
        """() => {
          const look = () => { window.seen ||= document.body.textContent.includes("batches read"); };
          new MutationObserver(look).observe(document.body, {subtree: true, childList: true, characterData: true});
        }"""
    )
    press(page, "Order")
    page.locator(".found li").first.wait_for()
    count = page.locator("ol.given li").count()
    assert page.locator(".found li").count() == count > 100
    assert page.evaluate("window.seen")
    page.get_by_text(f"40 of the {count} sentences, evenly spaced").wait_for()


def test_text_is_never_run(page):
    paste(page, f"{INJECTION}. He ate it.\n\nThen he felt {{{{sick}}}}.")
    press(page, "Order")
    page.locator(".found li").first.wait_for()
    page.get_by_role("tab", name="Play").click()
    press(page, "Start")
    page.locator("#game-list li").first.wait_for()
    assert any(INJECTION[:20] in text for text in texts(page, "#game-list .text"))
    assert any("{{value}}" in text for text in texts(page, "#game-list .text"))
    assert page.title() == "Sentence ordering"


def test_errors_are_the_librarys_own(page):
    press(page, "Order")
    page.get_by_text("There are no sentences yet. Paste a text, or load an example.").wait_for()
    paste(page, TEXT)
    page.get_by_label("Model", exact=True).fill("./<b>nothing</b>")
    page.get_by_label("Model", exact=True).press("Enter")
    press(page, "Order")
    page.get_by_text("<b>nothing</b>").wait_for()


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_and_can_be_read(browser, address, width, scheme):
    window = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    for page in visit(window, address):
        paste(page, TEXT + " W" + "o" * 200 + "w.")
        press(page, "Order")
        page.locator(".found li").first.wait_for()
        page.locator(".heat").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        measured = [contrast for contrast in page.evaluate(CONTRASTS) if contrast[1].strip()]
        assert len(measured) > 30
        assert min(measured)[0] >= 4.5, min(measured)
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=f"{folder}/{width}-{scheme}.png", full_page=True)


def test_space_serves_the_page(serve, orderers, browser, tmp_path):
    from sentence_ordering.app.space import lay_out_space

    files = lay_out_space(tmp_path / "space", orderers[0])
    assert {"app.py", "requirements.txt", "README.md", "sentence_ordering/app/page.css"} <= set(files)
    code = "import sys; sys.path.insert(0, '.'); import runpy; runpy.run_path('app.py', run_name='__main__')"
    address = serve("-c", code, cwd=tmp_path / "space")
    for page in visit(browser.new_page(), address):
        paste(page, TEXT)
        press(page, "Order")
        assert len(texts(page, "ol.found .text")) == 5


def test_nothing_left_the_machine(page, witness):
    """Runs last, so that it has seen all that the others did."""
    paste(page, TEXT)
    press(page, "Order")
    page.locator(".found li").first.wait_for()
    assert ELSEWHERE == []
    assert witness.asked == []  # by the programs that serve
    response = page.request.get(page.url)
    assert "default-src 'self'" in response.headers["content-security-policy"]
