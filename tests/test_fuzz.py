"""Whatever comes in: no traceback, no sentence lost or invented, and always a permutation.

`FUZZ_EXAMPLES=100000 pytest tests/test_fuzz.py` tries that many inputs of each kind.
"""

import gzip
import io
import json
import os
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sentence_ordering import AutoModelForSentenceOrdering, SentenceOrderingPipeline, commands
from sentence_ordering.commands.answering import Run
from sentence_ordering.commands.order_arguments import OrderArguments
from sentence_ordering.data import load_documents, read_documents
from sentence_ordering.data.files import form_of

FORMS = ("jsonl", "json", "csv", "tsv", "parquet", "text")
FUZZ = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")),
    derandomize="FUZZ_EXAMPLES" not in os.environ,  # The suite tries the same inputs in every run, the long run others.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)

characters = st.one_of(
    st.characters(), st.characters(categories=["Cs"]), st.sampled_from('\ufeff\r\n\t\0",[]{} \u2028a')
)
sentences = st.one_of(st.text(characters, max_size=12), st.sampled_from(["", " ", "[CLS]", "[PAD] x", "a " * 400]))
documents = st.one_of(st.lists(sentences, max_size=6), st.integers(2, 90).map(lambda count: ["same"] * count))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(characters, max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=8,
)


@st.composite
def files(draw):
    """A file of some form: anything at all, or one that was good before a few bytes of it changed."""
    form = draw(st.sampled_from(FORMS))
    if draw(st.integers(0, 3)) == 0:
        return form, draw(st.binary(max_size=80))
    content = bytearray(encode(form, draw(st.lists(documents, max_size=4)), draw(values)))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(content)))
        new = draw(
            st.one_of(st.binary(max_size=3), st.sampled_from([b"\xef\xbb\xbf", b"\r", b'"', b"[" * 2000, b"9" * 5000]))
        )
        content[start : start + draw(st.integers(0, 4))] = new
    return form, bytes(content)


def encode(form, rows, other):
    """Write documents as a file that reads well, if they have no lone surrogates in Parquet."""
    if form == "parquet":
        clean = [[sentence.encode("utf-8", "replace").decode() for sentence in row] for row in rows]
        file = io.BytesIO()
        pq.write_table(pa.table({"sentences": pa.array(clean, pa.list_(pa.string()))}), file)
        return file.getvalue()
    if form in ("csv", "tsv"):
        delimiter = "," if form == "csv" else "\t"
        cells = ['"' + json.dumps(row).replace('"', '""') + '"' for row in rows]
        return "".join(f"{cell}{delimiter}x\r\n" for cell in ["sentences", *cells]).encode()
    if form == "text":
        return "\n\n".join("\n".join(row) for row in rows).encode("utf-8", "replace")
    objects = [json.dumps({"sentences": row, "other": other}) for row in rows]
    return ("\n".join(objects) if form == "jsonl" else f"[{', '.join(objects)}]").encode()


@pytest.fixture(scope="module")
def pipeline(encoder_folder, tokenizer):
    """A tiny orderer with short rows, so that windows are needed, too."""
    model = AutoModelForSentenceOrdering.from_pretrained(encoder_folder, max_tokens=40)
    return SentenceOrderingPipeline(model=model, tokenizer=tokenizer, batch_size=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def order(pipeline, path, output):
    """Run `order --on_error skip`; return the run and what it wrote."""
    args = OrderArguments("model", str(path), output)
    run = Run(pipeline, args, "window", io.BytesIO(), io.BytesIO(), form=form_of(output))
    run.answer_all()
    return run


@FUZZ
@given(files())
def test_order_answers_every_document_of_any_file_with_a_permutation(pipeline, folder, file):
    form, content = file
    path = folder / f"input.{'txt' if form == 'text' else form}"
    path.write_bytes(content)
    run = order(pipeline, path, "out.jsonl")
    rejected = []
    read = []
    try:
        for document in read_documents(str(path), allow_list=True, on_error=rejected.append):
            read.append(document.sentences)
    except ValueError as error:
        assert run.failure == str(error)
    written = [json.loads(line) for line in run.output.getvalue().splitlines()]
    assert run.answered == len(written)
    assert run.rejected == len(run.rejects.getvalue().splitlines())
    # Rows without sentences, or with an answer's keys, are set aside by `order` alone.
    given = [sentences for sentences in read if sentences is not None]
    assert len(given) >= len(written) >= len(given) - (run.rejected - len(rejected))
    remaining = iter(given)
    for row in written:
        sentences = next(s for s in remaining if Counter(s) == Counter(row["sentences"]))
        assert [sentences[index] for index in row["order"]] == row["sentences"]
        assert sorted(row["order"]) == list(range(len(sentences)))


@FUZZ
@given(files(), st.booleans())
def test_loading_any_file_gives_documents_or_one_clear_error(folder, file, packed):
    form, content = file
    path = folder / f"input.{'txt' if form == 'text' else form}{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    try:
        rows = load_documents(str(path))["train"]
    except (TypeError, ValueError) as error:
        assert str(error).startswith(str(path))
        return
    for row in rows:
        assert row.get("sentences") is None or all(isinstance(sentence, str) for sentence in row["sentences"])


@FUZZ
@given(st.lists(documents, min_size=1, max_size=4), st.sampled_from(FORMS), st.sampled_from(FORMS), values)
def test_no_form_loses_or_invents_a_sentence(pipeline, folder, rows, form, into, other):
    path, output = (folder / f"{name}.{'txt' if f == 'text' else f}" for name, f in (("given", form), ("out", into)))
    path.write_bytes(encode(form, rows, other))
    run = order(pipeline, path, str(output))
    assert not run.failure
    output.write_bytes(run.output.getvalue())
    given = [document.sentences for document in read_documents(str(path))]
    if form != "text":
        assert len(given) == len(rows) and [len(s) for s in given] == [len(s) for s in rows]
    found = [document.sentences for document in read_documents(str(output))] if run.answered else []
    assert len(found) == run.answered == len(given) - run.rejected
    assume(not any(0xD800 <= ord(c) < 0xE000 for s in given for sentence in s for c in sentence))
    remaining = iter(given)
    for sentences in found:
        assert any(Counter(s) == Counter(sentences) for s in remaining)


@FUZZ
@given(st.one_of(documents, st.lists(documents, max_size=3), values, st.lists(values, max_size=3)))
def test_the_pipeline_answers_with_permutations_or_refuses(pipeline, inputs):
    try:
        answers = pipeline(inputs)
    except (TypeError, ValueError) as error:
        assert "document" in str(error) or "sentences" in str(error)
        return
    answers = [answers] if isinstance(answers, dict) else list(answers)
    given = inputs if inputs and isinstance(inputs[0], (list, dict)) else [inputs]
    for document, answer in zip(given, answers, strict=True):
        assert [document[index] for index in answer["order"]] == answer["sentences"]
        assert sorted(answer["order"]) == list(range(len(document)))


@settings(FUZZ, max_examples=max(1, FUZZ.max_examples // 5))
@given(st.lists(st.tuples(st.lists(sentences, min_size=2, max_size=4), values), min_size=8, max_size=9))
def test_prepare_keeps_every_row_as_it_is(folder, rows):
    rows = [{"sentences": [f"{n}", *row], "other": other} for n, (row, other) in enumerate(rows)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    splits = folder / "splits"
    options = ["--input", str(folder / "corpus.jsonl"), "--output_dir", str(splits), "--held_out", "3"]
    commands.main(["prepare", *options, "--validation", "1", "--split_by_row"])
    written = [line for name in ("train", "validation", "test") for line in (splits / f"{name}.jsonl").open()]
    for row in rows:
        row["sentences"] = [s.encode("utf-8", "replace").decode() for s in row["sentences"]]
    assert Counter(json.dumps(json.loads(line)) for line in written) == Counter(map(json.dumps, rows))
