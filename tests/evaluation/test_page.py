import copy
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from browsing import CONTRASTS, chromium
from datasets import Dataset
from PIL import Image

from sentence_ordering.data import load_documents
from sentence_ordering.evaluation import page
from sentence_ordering.evaluation.baselines import make_baselines
from sentence_ordering.evaluation.measuring import collect, load_corpus, predict
from sentence_ordering.evaluation.page import format_page
from sentence_ordering.evaluation.results import CorpusResults, Result, Settings, find_worst
from sentence_ordering.evaluation.statistics import measure

VIEWS = [(width, scheme) for width in (400, 1600) for scheme in ("light", "dark")]

INJECTION = "<script>document.title = 'taken over'</script>"
DOCUMENTS = [
    [INJECTION, "</span></style>\"' & so on", '<img src="https://example.org/x.png" onerror="alert(1)">'],
    ["لا", "نعم قال الرجل", "ثم ذهب إلى البيت"],
    ["W" + "o" * 300 + "w", "A tab\tand\u0007 a bell", "$x$ costs \\$5"],
    [f"Sentence {number} of a document that is longer than others, and has no end at all." for number in range(40)],
]

# Where each line of a document begins and ends, less the middles of the sentence and of the place that it joins.
ARROW_ENDS = """
() => [...document.querySelectorAll(".move")].flatMap((move) => {
  const [sentences, places] = [...move.querySelectorAll("ol")].map((list) => [...list.children].map((item) => {
    const box = item.getBoundingClientRect();
    return (box.top + box.bottom) / 2;
  }));
  const right = [...move.querySelectorAll(".spoken")].map((note) => Number(note.textContent.match(/\\d+/)[0]));
  return [...move.querySelectorAll("path")].map((path, index) => {
    const at = (length) => path.getPointAtLength(length).matrixTransform(path.getScreenCTM()).y;
    return [at(0) - sentences[index], at(path.getTotalLength()) - places[right[index] - 1]];
  });
})
"""


@pytest.fixture(scope="module")
def settings():
    return Settings(input_orders=2, seed=0)


@pytest.fixture(scope="module")
def results(settings):
    """Two corpora, on which the bag of words and the random orders stand in for models."""
    splits = load_documents("bigbench_narratives")
    hard = Dataset.from_dict({"sentences": DOCUMENTS + [["only one"]]})
    corpora = [
        load_corpus("bigbench_narratives (validation)", splits["validation"], splits["train"]),
        load_corpus(f"hard|{INJECTION}", hard, splits["train"]),
    ]
    results = []
    for corpus in corpora:
        baselines = make_baselines(corpus, seed=0)
        systems = {
            "output/a-model-with-a-long-name": (baselines["bag of words"], False),
            f"{INJECTION}|$x$": (baselines["random order"], False),
            **{name: (order, True) for name, order in baselines.items()},
        }
        results.append(CorpusResults(corpus.name))
        for name, (order, baseline) in systems.items():
            answers = collect(predict(order, corpus, input_orders=2, seed=0), 2)
            measurement = measure(answers, confidence_slope=None if baseline else 1.0)
            worst = [] if baseline else find_worst(measurement, answers, corpus)
            results[-1].results.append(Result(name, baseline, measurement, worst))
    return results


@pytest.fixture(scope="module")
def html(results, settings):
    return format_page(results, settings)


def test_a_model_may_be_measured_twice(results, settings):
    one = results[0]
    twice = CorpusResults(one.corpus, [one.results[0], copy.deepcopy(one.results[0]), *one.results[1:]])
    assert format_page([twice], settings).count("Heat map") == 1 + format_page([one], settings).count("Heat map")


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module", params=VIEWS, ids=lambda view: f"{view[0]}-{view[1]}")
def view(request, browser, html, tmp_path_factory):
    """The page as it is seen in a window, and what it did while it was loaded."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html, encoding="utf-8")
    width, scheme = request.param
    window = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    events = []
    window.on("request", lambda request: events.append(request.url))
    window.on("console", lambda message: events.append(message.text))
    window.on("pageerror", lambda error: events.append(str(error)))
    window.goto(path.as_uri())
    window.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    yield window, events, scheme
    window.close()


class TestInChromium:
    def test_nothing_sticks_out(self, view):
        window, _, _ = view
        assert window.evaluate("document.documentElement.scrollWidth") == window.viewport_size["width"]

    def test_nothing_is_run_or_fetched(self, view):
        window, events, _ = view
        assert events == [window.url]
        assert window.title() == "Sentence ordering: evaluation"

    def test_text_stands_out_in_light_and_dark(self, view):
        window, _, scheme = view
        contrasts = window.evaluate(CONTRASTS)
        assert len(contrasts) > 400
        assert min(contrasts)[0] >= 4.5, min(contrasts)
        shot = np.array(Image.open(io.BytesIO(window.screenshot())).convert("L"))
        assert (np.median(shot) < 60) == (scheme == "dark")

    def test_plots_are_drawn_in_the_colors_of_their_systems(self, view):
        window, _, _ = view
        figures = window.locator("figure svg").all()
        assert len(figures) == 10
        for index, figure in enumerate(figures[:5]):
            pixels = np.array(Image.open(io.BytesIO(figure.screenshot())).convert("RGB")).astype(int)
            series = 2 if index in (3, 4) else 1
            color = window.evaluate(f"getComputedStyle(document.body).getPropertyValue('--series-{series}')").strip()
            near = np.abs(pixels - [int(color[i : i + 2], 16) for i in (1, 3, 5)]).max(axis=2) < 12
            assert near.sum() > 50, index
            box = np.argwhere(near)
            assert (np.ptp(box, axis=0) > 0.25 * np.array(pixels.shape[:2])).all() or index in (1, 3), index

    def test_arrows_join_sentences_with_their_right_places(self, view):
        window, _, _ = view
        ends = np.array(window.evaluate(ARROW_ENDS))
        assert len(ends) > 150
        assert np.abs(ends).max() < 2


class Structure(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def all(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


def test_text_is_escaped(html):
    assert INJECTION not in html
    assert html.count("&lt;script&gt;document.title") > 10
    structure = Structure(html)
    assert not structure.all("script", "img", "link", "iframe")
    assert not [name for _, attributes in structure.tags for name in attributes if name.startswith("on")]


def test_structure_can_be_heard(html):
    structure = Structure(html)
    assert structure.all("html") == [{"lang": "en"}]
    assert all(heading["scope"] in ("col", "row") for heading in structure.all("th"))
    assert len(structure.all("caption")) == len(structure.all("table")) == 7
    assert all(svg.get("aria-hidden") or svg["role"] == "img" and svg["aria-label"] for svg in structure.all("svg"))
    ids = [attributes["id"] for _, attributes in structure.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_worst_documents_are_told_with_their_right_places(html, results):
    case = results[1].results[0].worst[0]
    text = re.sub(r"\s+", " ", html)
    assert f"Row {case.row} · tau {case.kendall_tau:.3f}" in text
    assert sorted(case.sentences) == sorted(DOCUMENTS[case.row])
    assert [DOCUMENTS[case.row].index(sentence) for sentence in case.sentences] == case.right


def test_page_without_matplotlib_says_how_to_get_plots(results, settings, monkeypatch):
    monkeypatch.setattr(page, "can_plot", lambda: False)
    html = format_page(results, settings)
    assert 'pip install "sentence-ordering[plot]"' in html
    assert not Structure(html).all("figure")


def test_corpus_that_says_nothing_about_order_has_no_plots(settings, answers_of):
    empty = CorpusResults("empty", [Result("model", False, measure(answers_of(([0], [0], [0]))))])
    html = format_page([empty], settings)
    assert "0 documents" in html and "1 of fewer than 2 sentences" in html
    assert not Structure(html).all("figure", "details")


def test_page_is_the_same_every_time(html, results, settings):
    assert format_page(results, settings) == html
