"""The adapters and the service of docs/retrieval.md, as they stand there, with the trained orderer.

Each is skipped where its framework is not installed; `make test-integrations` installs all of them.
"""

import asyncio
import re
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import pipeline

from sentence_ordering.commands.train_arguments import MINILM
from sentence_ordering.model.adapter import locate_encoder

PAGE = Path(__file__).parents[2] / "docs" / "retrieval.md"
GIVEN = ["Then he ate it.", "So he bought a cake.", "Tom was hungry."]
IN_ORDER = GIVEN[::-1]

pytestmark = [
    pytest.mark.real_weights,
    pytest.mark.skipif(locate_encoder(MINILM) == MINILM, reason="the extra `demo` is not installed"),
]


@pytest.fixture(scope="module")
def blocks():
    """The page's blocks of Python, by the heading above them."""
    sections = re.split(r"^## (.*)\n", "## top\n" + PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {
        title: re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
        for title, text in zip(sections[1::2], sections[2::2], strict=True)
    }


@pytest.fixture(scope="module")
def top(blocks):
    """What the blocks above the first section define: the pipeline, and passages sorted by their places."""
    namespace = {}
    for block in blocks["top"]:
        exec(compile(block, PAGE.name, "exec"), namespace)
    return namespace


@pytest.fixture
def run(blocks, top):
    """Runs a section's blocks on top of the page's first ones, and returns what they define."""

    def run_section(title):
        namespace = dict(top)
        for block in blocks[title]:
            exec(compile(block, PAGE.name, "exec"), namespace)
        return SimpleNamespace(**{name: value for name, value in namespace.items() if name != "__builtins__"})

    return run_section


def test_adapters_have_three_to_eight_lines(blocks):
    for title in ("LangChain", "Haystack", "LlamaIndex"):
        for block in blocks[title]:
            assert 3 <= len([line for line in block.splitlines() if line and "import" not in line]) <= 8


def test_known_places_need_no_model(top):
    assert [passage["start"] for passage in top["passages"]] == [0, 40]


class TestSeveralSources:
    TEXTS = ["Then he ate it.", "The ship went down.", "So he bought a cake.", "A storm came up.", "Tom was hungry."]
    SOURCES = ["tom", "sea", "tom", "sea", "tom"]

    def test_stay_together_in_the_models_order(self, run):
        order = run("Several sources").order_by_source(self.TEXTS, self.SOURCES)
        assert [self.SOURCES[i] for i in order] in (["tom"] * 3 + ["sea"] * 2, ["sea"] * 2 + ["tom"] * 3)
        alone = pipeline("sentence-ordering")(self.TEXTS)["order"]
        for source in ("tom", "sea"):
            assert [i for i in order if self.SOURCES[i] == source] == [i for i in alone if self.SOURCES[i] == source]

    def test_known_places_within_a_source_are_kept(self, run):
        # The wrong way round, so that the model would not do it by itself.
        order = run("Several sources").order_by_source(self.TEXTS, self.SOURCES, starts=[0, 0, 1, 1, 2])
        assert [i for i in order if self.SOURCES[i] == "tom"] == [0, 2, 4]
        assert [i for i in order if self.SOURCES[i] == "sea"] == [1, 3]

    def test_no_passages_are_an_answer(self, run):
        assert run("Several sources").order_by_source([], []) == []


class TestLangChain:
    @pytest.fixture
    def documents(self):
        documents = pytest.importorskip("langchain_core.documents")
        return [documents.Document(text, metadata={"number": i}) for i, text in enumerate(GIVEN)]

    def test_transformer(self, documents, run):
        ordered = run("LangChain").OrderDocuments().transform_documents(documents)
        assert [document.page_content for document in ordered] == IN_ORDER
        assert [document.metadata["number"] for document in ordered] == [2, 1, 0]

    def test_compressor(self, documents, run):
        compressor = run("LangChain").OrderRetrieved()
        ordered = compressor.compress_documents(documents, "What did Tom do?")
        assert [document.page_content for document in ordered] == IN_ORDER
        assert list(asyncio.run(compressor.acompress_documents(documents, "What did Tom do?"))) == ordered

    def test_nothing_found(self, documents, run):
        assert run("LangChain").OrderRetrieved().compress_documents([], "What?") == []


class TestHaystack:
    @pytest.fixture
    def haystack(self, monkeypatch):
        monkeypatch.setenv("HAYSTACK_TELEMETRY_ENABLED", "False")
        return pytest.importorskip("haystack")

    def test_component_in_a_pipeline(self, haystack, run):
        pipeline = haystack.Pipeline()
        pipeline.add_component("orderer", run("Haystack").DocumentOrderer())
        documents = [haystack.Document(content=text, meta={"number": i}) for i, text in enumerate(GIVEN)]
        ordered = pipeline.run({"orderer": {"documents": documents}})["orderer"]["documents"]
        assert [document.content for document in ordered] == IN_ORDER
        assert [document.meta["number"] for document in ordered] == [2, 1, 0]

    def test_documents_without_text_are_kept(self, haystack, run):
        documents = [haystack.Document(content=None, meta={"page": 1}), haystack.Document(content=GIVEN[0])]
        ordered = run("Haystack").DocumentOrderer().run(documents)["documents"]
        assert sorted(map(id, ordered)) == sorted(map(id, documents))


class TestLlamaIndex:
    def test_node_postprocessor(self, run):
        schema = pytest.importorskip("llama_index.core.schema")
        nodes = [schema.NodeWithScore(node=schema.TextNode(text=text), score=i / 2) for i, text in enumerate(GIVEN)]
        ordered = run("LlamaIndex").OrderNodes().postprocess_nodes(nodes, query_str="What did Tom do?")
        assert [node.get_content() for node in ordered] == IN_ORDER
        assert [node.score for node in ordered] == [1.0, 0.5, 0.0]


class TestService:
    @pytest.fixture
    def service(self, run):
        pytest.importorskip("fastapi")
        return run("A service")

    @pytest.fixture
    def client(self, service):
        testclient = pytest.importorskip("fastapi.testclient")
        with testclient.TestClient(service.app) as client:
            yield client

    def test_is_healthy(self, client):
        response = client.get("/health")
        assert (response.status_code, response.json()["status"]) == (200, "ok")

    def test_orders(self, client):
        assert client.post("/order", json={"sentences": GIVEN}).json()["sentences"] == IN_ORDER
        assert client.post("/order", json={"sentences": []}).json()["sentences"] == []

    def test_refuses_what_is_no_document(self, client):
        assert client.post("/order", json={"sentences": "one string"}).status_code == 422
        assert client.post("/order", json={"sentences": [1, 2]}).status_code == 422

    def test_goes_on_after_an_error(self, service, monkeypatch):
        testclient = pytest.importorskip("fastapi.testclient")
        namespace = service.order_document.__globals__
        order = namespace["order"]

        def fail(documents, **options):
            raise RuntimeError("no memory")

        with testclient.TestClient(service.app, raise_server_exceptions=False) as client:
            monkeypatch.setitem(namespace, "order", fail)
            assert client.post("/order", json={"sentences": GIVEN}).status_code == 500
            monkeypatch.setitem(namespace, "order", order)
            assert client.post("/order", json={"sentences": GIVEN}).json()["sentences"] == IN_ORDER

    def test_requests_that_wait_share_a_batch(self, blocks, top):
        pytest.importorskip("fastapi")
        httpx = pytest.importorskip("httpx")
        batches = []

        def slow_order(documents, **options):
            batches.append(len(documents))
            time.sleep(0.2)
            return top["order"](documents, **options)

        namespace = top | {"order": slow_order}
        exec(compile(blocks["A service"][0], PAGE.name, "exec"), namespace)

        async def ask():
            transport = httpx.ASGITransport(namespace["app"])
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                asked = [client.post("/order", json={"sentences": [*GIVEN, f"Day {i}."]}) for i in range(9)]
                return [response.json() for response in await asyncio.gather(*asked)]

        answers = asyncio.run(ask())
        assert [f"Day {i}." in answer["sentences"] for i, answer in enumerate(answers)] == [True] * 9
        assert sum(batches) == 9
        assert len(batches) <= 3
