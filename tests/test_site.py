"""The documentation site: what is on it, and that it fetches nothing from elsewhere. `make docs` builds it strictly."""

import html
import inspect
import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

import sentence_ordering

REPOSITORY = Path(__file__).parents[1]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# What a browser fetches by itself, and not only when somebody follows it.
FETCHED = (
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*?\bsrc=[\"']?([^\"' >]+)",
    r"<link\b(?![^>]*rel=[\"']?(?:canonical|prev|next))[^>]*?\bhref=[\"']?([^\"' >]+)",
    r"url\([\"']?([^\"')]+)",
    r"@import\s+[\"']([^\"']+)",
)


def test_every_public_name_is_in_the_navigation():
    navigation = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())["nav"]
    [reference] = [pages["Reference"] for pages in navigation if "Reference" in pages]
    assert reference == [f"reference/{name}.md" for name in sentence_ordering.__all__]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site's folder, with an empty report."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    report = folder / "report.html"
    report.write_text("<p>A report.</p>")
    build(load_config(str(REPOSITORY / "mkdocs.yml"), site_dir=str(folder / "site"), extra={"report": str(report)}))
    return folder / "site"


def read_text(page):
    """Return what a page's HTML says."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))).split())


@pytest.mark.parametrize("name", sentence_ordering.__all__)
def test_public_name_has_a_page_with_its_docstring(name, site):
    text = read_text(site / "reference" / name / "index.html")
    if name == "__version__":
        assert sentence_ordering.__version__ in text
    else:
        first, *_ = inspect.getdoc(getattr(sentence_ordering, name)).splitlines()
        assert first.replace("`", "") in text


def test_examples_of_docstrings_are_code(site):
    page = (site / "reference" / "ordering_trainer" / "index.html").read_text(encoding="utf-8")
    [example] = re.findall(r"<code>.*?</code>", page[page.index("Examples:") :], flags=re.DOTALL)[:1]
    assert "trainer.save_model(" in html.unescape(re.sub(r"<[^>]+>", "", example))


def test_what_is_returned_is_one_thing(site):
    text = read_text(site / "reference" / "fit_confidence" / "index.html")
    assert "None if there is no pair of sentences to learn from." in text


def test_model_card_recipes_and_report_are_there(site):
    assert "How sure it is" in read_text(site / "orderers" / "general" / "index.html")
    assert "dataset: bigbench_narratives" in read_text(site / "configuration" / "index.html")
    assert (site / "evaluation.html").read_text() == "<p>A report.</p>"


def test_what_builds_the_site_is_not_on_it(site):
    assert [path.name for path in (site / "site").iterdir()] == ["style.css"]


def test_pages_fetch_nothing_from_other_hosts(site):
    files = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(files) > 40
    for file in files:
        text = file.read_text(encoding="utf-8")
        fetched = [address for pattern in FETCHED for address in re.findall(pattern, text)]
        assert not [address for address in fetched if re.match(r"(https?:)?//", address)], file
        assert 'class="mermaid"' not in text, "The theme would fetch what draws it from a CDN."


@pytest.fixture
def address(site):
    """The site's address, while it is served on this machine."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=site)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_search_finds_a_page_and_no_request_leaves_the_machine(scheme, address):
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        window = browser.new_page(color_scheme=scheme)
        window.set_default_timeout(120_000)
        requests, errors = [], []
        window.on("request", lambda request: requests.append(request.url))
        window.on("pageerror", lambda error: errors.append(str(error)))
        window.goto(address)
        window.get_by_role("textbox", name="Search").press_sequentially(
            "SentenceOrderingPipeline"
        )  # It listens to keys.
        window.locator(".md-search-result__link").first.click()
        expected = {"light": "default", "dark": "slate"}[scheme]
        assert window.locator("body").get_attribute("data-md-color-scheme") == expected
        window.get_by_role("heading", name="SentenceOrderingPipeline").first.wait_for()
        browser.close()
    assert errors == []
    assert len(requests) > 5
    assert [url for url in requests if not url.startswith((address, "blob:", "data:"))] == []
