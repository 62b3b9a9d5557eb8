import copy
import logging
import math
import pickle
from itertools import permutations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
import transformers
from datasets import Dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoModel, pipeline
from transformers.pipelines.pt_utils import KeyDataset

from sentence_ordering import SentenceOrderingPipeline
from sentence_ordering.model.passes import canonical_order


@pytest.fixture
def order(model, tokenizer):
    return pipeline("sentence-ordering", model=model, tokenizer=tokenizer)


def test_stock_pipeline_loads_a_saved_orderer(orderer_folder):
    order = pipeline("sentence-ordering", model=str(orderer_folder))
    assert type(order) is SentenceOrderingPipeline
    assert sorted(order(["Then he ate it.", "Tom bought a cake."])["order"]) == [0, 1]


def test_answer_is_in_reading_order_and_positions_in_input_order(order, model, monkeypatch):
    scores = torch.tensor([[2.5, 0.5, 1.5]])
    monkeypatch.setattr(type(model), "forward", lambda self, **inputs: type("Output", (), {"logits": scores}))
    assert order(["c", "a", "b"]) == {
        "order": [1, 2, 0],
        "sentences": ["a", "b", "c"],
        "scores": [0.5, 1.5, 2.5],
        "positions": [2, 0, 1],
        "confidence": None,
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("count", [3, 60])  # The longer one takes windows.
def test_scores_that_say_nothing_are_refused_with_the_document(count, value, order, model):
    model.config.max_tokens = 60
    last = model.backbone.encoder.layer[-1].output
    token = order.tokenizer("sick", add_special_tokens=False)["input_ids"][0]
    broken = []
    model.backbone.embeddings.register_forward_pre_hook(
        lambda module, args, kwargs: broken.append((kwargs["input_ids"] == token).any(dim=1)), with_kwargs=True
    )
    last.register_forward_hook(
        lambda module, inputs, output: torch.where(broken.pop()[:, None, None], torch.tensor(value), output)
    )
    documents = [["He ate it.", "Tom bought a cake."], ["Tom ran."] * (count - 1) + ["He was sick."], ["One.", "Two."]]
    answers = order(iter(documents))
    assert len(next(answers)["order"]) == 2
    with pytest.raises(ValueError, match=f"the document of {count} sentences that begins with 'Tom ran.'"):
        next(answers)


def test_windows_of_one_document_are_batched_by_tokens(order, model):
    model.config.max_tokens = 60
    passes = []
    model.backbone.register_forward_pre_hook(
        lambda module, args, kwargs: passes.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    document = [f"Tom bought {number} cakes." for number in range(80)]
    together = order(document)
    rows, batched = sum(shape[0] for shape in passes), len(passes)
    assert all(shape[0] * shape[1] <= 4096 for shape in passes)
    passes.clear()
    apart = order(document, max_tokens_per_batch=1)
    assert [shape[0] for shape in passes] == [1] * rows
    assert batched <= rows / 5
    assert together["order"] == apart["order"]


@pytest.fixture
def sure_order(order, model, monkeypatch):
    """A pipeline whose model scores three sentences 2, 0 and 1, with odds of 3 for a gap of 1."""
    scores = torch.tensor([[2.0, 0.0, 1.0]])
    monkeypatch.setattr(type(model), "forward", lambda self, **inputs: type("Output", (), {"logits": scores}))
    order.model.config.confidence_slope = math.log(3)
    return order


def test_confidence_is_the_share_of_pairs_expected_to_be_right(sure_order):
    answer = sure_order(["c", "a", "b"])
    assert answer["confidence"] == pytest.approx((0.75 + 0.75 + 0.9) / 3)
    assert "pair_probabilities" not in answer


@pytest.mark.parametrize("canonical", [False, True])
def test_pair_probabilities_are_in_input_order(canonical, sure_order):
    answer = sure_order(["b", "c", "a"], return_pair_probabilities=True, canonical=canonical)
    assert canonical_order(["b", "c", "a"]).tolist() == [1, 2, 0]  # No inverse of itself.
    first_is_read_before = answer["pair_probabilities"]
    for i, row in enumerate(first_is_read_before):
        for j, probability in enumerate(row):
            gap = answer["positions"][j] - answer["positions"][i]
            assert probability == pytest.approx(3**gap / (1 + 3**gap))


def test_pair_probabilities_of_a_model_without_a_slope_are_refused(order):
    with pytest.raises(ValueError, match="no `confidence_slope`.*fit_confidence"):
        order(["a", "b"], return_pair_probabilities=True)


def test_document_may_be_a_dict(order):
    assert order({"sentences": ["a", "b"], "id": 7}) == order(["a", "b"]) == order(("a", "b"))


def test_list_of_documents_gives_a_list_of_answers(order):
    documents = [["a", "b"], {"sentences": ["c", "d", "e"]}, ("f", "g")]
    assert order(documents) == [order(document) for document in documents]


@pytest.mark.parametrize(
    "as_stream",
    [
        pytest.param(lambda documents: (document for document in documents), id="generator"),
        pytest.param(iter, id="iterator"),
        pytest.param(lambda documents: Dataset.from_dict({"sentences": documents, "x": [0] * 9}), id="dataset"),
        pytest.param(
            lambda documents: Dataset.from_dict({"sentences": documents}).to_iterable_dataset(), id="iterable_dataset"
        ),
        pytest.param(
            lambda documents: Dataset.from_dict({"sentences": documents}).with_format("numpy"), id="numpy_dataset"
        ),
        pytest.param(lambda documents: KeyDataset(Dataset.from_dict({"lines": documents}), "lines"), id="key_dataset"),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_streams_give_the_same_answers_as_lists(as_stream, batch_size, order, stories):
    documents = stories[:9]
    answers = order(as_stream(documents), batch_size=batch_size)
    assert not isinstance(answers, list)
    assert [answer["order"] for answer in answers] == [answer["order"] for answer in order(documents)]


def test_workers_give_the_same_answers(order, stories):
    dataset = Dataset.from_dict({"sentences": stories[:9]})
    answers = list(order(dataset, batch_size=2, num_workers=2))
    assert [answer["order"] for answer in answers] == [answer["order"] for answer in order(stories[:9])]


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_order_and_scores_are_the_same_for_every_batch_size(pooling, order, model, stories):
    model.config.pooling = pooling
    documents = [*stories[:30], [], ["one"], ["", " "]]
    expected = order(documents)
    for batch_size in (2, 7, 64):
        for answer, single in zip(order(documents, batch_size=batch_size), expected, strict=True):
            assert answer["order"] == single["order"]
            assert answer["scores"] == pytest.approx(single["scores"], abs=1e-5, rel=1e-5)


def test_left_padding_tokenizer_gives_the_same_scores(model, tokenizer, stories):
    left = copy.copy(tokenizer)
    left.padding_side = "left"
    order = pipeline("sentence-ordering", model=model, tokenizer=left)
    for answer, single in zip(order(stories[:9], batch_size=4), order(stories[:9]), strict=True):
        assert answer["scores"] == pytest.approx(single["scores"], abs=1e-5, rel=1e-5)
    assert left.padding_side == "left"


def test_batches_need_a_pad_token(model, tokenizer):
    without = tokenizer.__class__(tokenizer_object=tokenizer.backend_tokenizer, cls_token="[CLS]", unk_token="[UNK]")
    order = pipeline("sentence-ordering", model=model, tokenizer=without)
    assert len(order([["a", "b"], ["c"]])) == len(order([["a", "b"], ["c"]], batch_size=None)) == 2
    with pytest.raises(ValueError, match="has no pad token.*tokenizer.pad_token = "):
        order([["a", "b"], ["c"]], batch_size=2)


def test_wrong_document_of_a_stream_is_numbered(order):
    with pytest.raises(TypeError, match="document 2: sentence 0 must be a string"):
        list(order(document for document in (["a"], ["b"], [3])))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(documents=st.lists(st.lists(st.text(max_size=20), max_size=8), max_size=4), batch_size=st.integers(1, 4))
def test_answer_is_always_a_permutation_of_what_was_given(documents, batch_size, order):
    for document, answer in zip(documents, order([*documents, ["x"]], batch_size=batch_size), strict=False):
        assert sorted(answer["order"]) == list(range(len(document)))
        assert answer["sentences"] == [document[index] for index in answer["order"]]
        assert [answer["positions"][index] for index in answer["order"]] == list(range(len(document)))
        assert answer["scores"] == sorted(answer["scores"])


def test_text_that_is_no_valid_unicode_is_ordered(order):
    assert sorted(order(["a \ud800 b", "c"])["sentences"]) == ["a \ud800 b", "c"]


def test_empty_document_has_an_empty_order(order):
    assert order([]) == {"order": [], "sentences": [], "scores": [], "positions": [], "confidence": None}
    assert order([[], ["a", "b"], []], batch_size=2)[2] == order([])


def test_single_sentence_has_order_zero(order):
    answer = order(["Alone."])
    assert (answer["order"], answer["sentences"], answer["positions"]) == ([0], ["Alone."], [0])


def test_duplicates_are_kept_in_input_order_where_scores_tie(order, model):
    model.ordering_head.projection.weight.data.zero_()
    assert order(["same", "same", "other", "same"])["order"] == [0, 1, 2, 3]


def test_empty_streams_give_nothing(order):
    assert list(order(document for document in [])) == []
    assert list(order(Dataset.from_dict({"sentences": []}))) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_shuffles": 0}, "num_shuffles=0 must be a whole number of at least 1"),
        ({"num_shuffles": 2.0}, "num_shuffles=2.0 must be a whole number of at least 1"),
        ({"max_tokens_per_batch": -5}, "max_tokens_per_batch=-5 must be a whole number of at least 1"),
        ({"seed": -1}, "seed=-1 must be a whole number of at least 0"),
        ({"overlong": "cut"}, 'overlong=\'cut\' is unknown. Use "window" or "shorten"'),
    ],
)
def test_wrong_option_gets_a_clear_answer(options, message, order, model, tokenizer):
    with pytest.raises(ValueError, match=message):
        order(["a", "b"], **options)
    with pytest.raises(ValueError, match=message):
        pipeline("sentence-ordering", model=model, tokenizer=tokenizer, **options)


@pytest.mark.parametrize(("option", "least"), [("batch_size", 1), ("num_workers", 0)])
def test_batches_of_no_document_are_refused(option, least, order):
    message = f"{option}={least - 1} must be a whole number of at least {least}"
    with pytest.raises(ValueError, match=message):
        order(["a", "b"], **{option: least - 1})
    with pytest.raises(ValueError, match=message):
        pipeline("sentence-ordering", model=order.model, tokenizer=order.tokenizer, **{option: least - 1})


def test_numbers_may_be_numpy_integers(order):
    assert order(["a", "b"], batch_size=np.int64(2), seed=np.int64(1))["order"] in ([0, 1], [1, 0])


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ("One. String.", TypeError, "A document is a list of sentences, but this is one string: 'One. String.'. Split"),
        (["a", 3], TypeError, "document: sentence 1 must be a string, but is of type int: 3"),
        ([3, "a"], TypeError, "document: sentence 0 must be a string"),
        ([["a"], ["b", None]], TypeError, "document 1: sentence 1 must be a string, but is of type NoneType"),
        ([["a"], "b"], TypeError, "document 1: a document is a list of sentences"),
        ({"text": ["a"]}, ValueError, r"document: has no \"sentences\", only the keys \['text'\]"),
        (7, TypeError, "Expected a document or documents, but got a int: 7"),
        (Dataset.from_dict({"lines": [["a"]]}), ValueError, r"no column 'sentences', only \['lines'\].*KeyDataset"),
        (pd.DataFrame({"sentences": [["a"]]}), TypeError, "Documents are not taken from a DataFrame. Pass its column"),
        (pa.table({"sentences": [["a"]]}), TypeError, "Documents are not taken from a Table. Pass its column"),
    ],
)
def test_wrong_input_gets_a_clear_answer(inputs, error, message, order):
    with pytest.raises(error, match=message):
        list(order(inputs))


def test_unknown_parameter_is_refused(order):
    with pytest.raises(TypeError, match="no parameter 'top_k'"):
        order(["a", "b"], top_k=3)


def test_plain_encoder_is_refused(encoder_folder, tokenizer):
    with pytest.raises(ValueError, match="needs a trained sentence orderer, but the model is a 'bert' model"):
        pipeline("sentence-ordering", model=AutoModel.from_pretrained(encoder_folder), tokenizer=tokenizer)


@pytest.mark.parametrize("overlong", ["window", "shorten"])
def test_sentences_too_long_for_a_row_are_shortened_with_one_warning(overlong, order, model, caplog):
    model.config.max_tokens = 12
    long = ["Tom bought a cake.", "Then he ate it all, and in the end he felt sick."]
    with caplog.at_level(logging.WARNING):
        answers = order([long, long, ["a", "b"]], overlong=overlong)
    assert sorted(answers[0]["sentences"]) == sorted(long)
    [message] = [record.getMessage() for record in caplog.records]
    assert message.startswith("A document of 2 sentences is too long for rows of 12 tokens: its longest sentences were")


def test_more_sentences_than_tokens_are_not_shortened(order, model):
    model.config.max_tokens = 3
    with pytest.raises(ValueError, match="document 1: 4 sentences do not fit into 3 tokens"):
        order([["a"], ["a", "b", "c", "d"]], overlong="shorten")


@pytest.fixture
def shapes(model, monkeypatch):
    """The shapes of the batches that the model is given, and their numbers of real tokens."""
    given, forward = [], type(model).forward

    def spy(self, input_ids, attention_mask):
        given.append((*input_ids.shape, int(attention_mask.sum())))
        return forward(self, input_ids=input_ids, attention_mask=attention_mask)

    monkeypatch.setattr(type(model), "forward", spy)
    return given


class TestBatches:
    def test_documents_of_similar_length_are_batched(self, order, shapes, stories):
        order([story for story in stories if len(story) <= 4][:96], batch_size=8)
        assert [rows for rows, _, _ in shapes] == [8] * 12
        assert sum(real for _, _, real in shapes) > 0.95 * sum(rows * tokens for rows, tokens, _ in shapes)

    def test_batches_keep_to_a_number_of_tokens(self, order, shapes, stories):
        documents = [story for story in stories if len(story) <= 4][:40]
        assert len(order(documents, max_tokens_per_batch=500)) == 40
        assert all(rows * tokens <= 500 for rows, tokens, _ in shapes)
        assert len(shapes) <= 15

    @pytest.mark.parametrize(("batch_size", "ahead"), [(1, 1), (2, 64)])
    def test_streams_are_read_no_further_than_the_look_ahead(self, batch_size, ahead, order):
        read = []
        answers = order((read.append(number) or ["a", "b"] for number in range(500)), batch_size=batch_size)
        next(answers)
        assert len(read) == ahead

    def test_streams_of_empty_documents_are_read_no_further_either(self, order):
        read = []
        next(order((read.append(number) or [] for number in range(500)), batch_size=2))
        assert len(read) == 64

    def test_documents_before_a_wrong_one_are_answered(self, order):
        answers = order((document for document in (["a"], ["b", "c"], [3])), batch_size=2)
        assert [len(next(answers)["order"]), len(next(answers)["order"])] == [1, 2]
        with pytest.raises(TypeError, match="document 2"):
            next(answers)

    def test_workers_tokenize_streams_ahead_too(self, order, stories):
        answers = order(iter(stories[:9]), batch_size=2, num_workers=2)
        assert [answer["order"] for answer in answers] == [answer["order"] for answer in order(stories[:9])]


class TestPasses:
    def test_scores_are_averaged_over_orders_of_the_input(self, order, stories):
        [document] = [story for story in stories if len(story) == 3][:1]
        every = {permutation: order([document[i] for i in permutation]) for permutation in permutations(range(3))}
        scores = {p: [answer["scores"][place] for place in answer["positions"]] for p, answer in every.items()}
        by_sentence = {p: [given[p.index(i)] for i in range(3)] for p, given in scores.items()}
        answer = order(document, num_shuffles=2)
        averaged = [answer["scores"][place] for place in answer["positions"]]
        first = by_sentence.pop((0, 1, 2))
        possible = [[(a + b) / 2 for a, b in zip(first, second, strict=True)] for second in by_sentence.values()]
        assert any(averaged == pytest.approx(mean, abs=1e-5) for mean in possible)

    def test_are_batched_together_and_the_same_for_every_batch_size(self, order, shapes, stories):
        single = [order(document, num_shuffles=4) for document in stories[:9]]
        assert [rows for rows, _, _ in shapes] == [4] * 9
        for answer, expected in zip(order(stories[:9], num_shuffles=4, batch_size=3), single, strict=True):
            assert answer["scores"] == pytest.approx(expected["scores"], abs=1e-5)

    def test_depend_on_the_seed_alone(self, model, tokenizer, stories):
        order = pipeline("sentence-ordering", model=model, tokenizer=tokenizer, num_shuffles=3, seed=1)
        assert order(stories[0])["scores"] == order(stories[0])["scores"] == order(stories[0], seed=1)["scores"]
        assert order(stories[0])["scores"] != order(stories[0], seed=2)["scores"]


class TestCanonical:
    @pytest.mark.parametrize("options", [{}, {"num_shuffles": 3}, {"windows": True}])
    def test_reading_order_does_not_depend_on_the_order_given(self, options, order, model):
        document = ["Tom bought a cake.", "He ate it.", "He ate it.", "Tom was sick.", "Oh."]
        if options.pop("windows", False):
            model.config.max_tokens = 16
        read = {tuple(order(list(p), canonical=True, **options)["sentences"]) for p in permutations(document)}
        assert len(read) == 1

    def test_without_it_scores_depend_on_the_order_given(self, order):
        one, other = order(["Tom bought a cake.", "He ate it."]), order(["He ate it.", "Tom bought a cake."])
        assert sorted(one["scores"]) != pytest.approx(sorted(other["scores"]), abs=1e-6)

    def test_answer_numbers_the_sentences_as_given(self, order, stories):
        answer = order(stories[0], canonical=True)
        assert answer["sentences"] == [stories[0][index] for index in answer["order"]]
        assert [answer["positions"][index] for index in answer["order"]] == list(range(len(stories[0])))


class TestWindows:
    @pytest.fixture
    def document(self, stories, model):
        model.config.max_tokens = 40
        return [sentence for story in stories[:8] for sentence in story]

    def test_no_row_exceeds_the_limit_and_no_sentence_is_lost(self, order, document, shapes):
        answer = order(document)
        assert sorted(answer["order"]) == list(range(len(document)))
        assert answer["sentences"] == [document[index] for index in answer["order"]]
        assert answer["scores"] == sorted(answer["scores"])
        assert max(tokens for _, tokens, _ in shapes) <= 40

    def test_answer_is_the_same_in_every_batch_and_depends_on_the_seed(self, order, document, stories):
        single = order(document)
        batch = order([stories[0], document, stories[1], document], batch_size=7)
        assert batch[1]["order"] == batch[3]["order"] == single["order"]
        assert batch[0]["order"] == order(stories[0])["order"]
        assert order(document, seed=1)["order"] != single["order"]

    def test_sentences_may_outnumber_the_tokens_of_a_row(self, order, model):
        model.config.max_tokens = 3
        assert sorted(order([*"abcdefg"])["order"]) == list(range(7))

    def test_progress_bar_is_shown_for_long_documents_only(self, order, document, stories, capsys, monkeypatch):
        transformers.utils.logging.enable_progress_bar()  # A Trainer without bars switches off all of them.
        monkeypatch.setitem(SentenceOrderingPipeline._score.__globals__, "SILENT_ROWS", 20)
        order(stories[:30], batch_size=1)
        assert "long document" not in capsys.readouterr().err
        order(document)
        assert "Ordering a long document" in capsys.readouterr().err


def test_model_in_training_mode_is_set_to_evaluation(model, tokenizer):
    model.train()
    order = pipeline("sentence-ordering", model=model, tokenizer=tokenizer)
    assert order(["a", "b"])["scores"] == order(["a", "b"])["scores"]


def test_answer_is_plain_python(order):
    order.model.config.confidence_slope = 1.0
    answer = order(["a", "b"])
    assert pickle.loads(pickle.dumps(answer)) == answer
    assert type(answer.pop("confidence")) is float
    assert {type(value) for values in answer.values() for value in values} == {int, float, str}


def test_half_precision_orderer_gives_float_scores(orderer_folder):
    order = pipeline("sentence-ordering", model=str(orderer_folder), dtype=torch.bfloat16)
    assert order.model.backbone.dtype == torch.bfloat16
    assert all(type(score) is float for score in order(["a", "b", "c"])["scores"])


def test_lists_of_pandas_are_documents(model, tokenizer):
    order = SentenceOrderingPipeline(model=model, tokenizer=tokenizer)
    documents = [["one two", "three"], ["four", "five", "six"]]
    expected = order(documents)
    cells = np.empty(2, dtype=object)
    cells[:] = [np.array(document, dtype=object) for document in documents]
    assert order(cells[0]) == order(np.array(documents[0])) == order({"sentences": cells[0]}) == expected[0]
    assert order(list(cells)) == list(order(cells)) == expected
    assert all(type(sentence) is str for sentence in order(np.array(documents[1]))["sentences"])
    with pytest.raises(TypeError, match="document: sentence 1 must be a string, but is of type int: 2"):
        order(np.array(["one", 2], dtype=object))


@pytest.mark.parametrize("as_column", [pd.Series, lambda sentences: pd.Series(sentences, index=[7, 3, 1]), pd.array])
def test_columns_of_pandas_are_documents(as_column, order):
    document = ["Then he ate it.", "So he bought a cake.", "Tom was hungry."]
    expected = order(document)
    column = as_column(document)
    assert order(column) == order({"sentences": column}) == expected
    assert order([column, document]) == [expected] * 2


def test_rows_of_datasets_are_documents(order, documents):
    ordered = documents.select(range(2)).map(lambda row: {"order": order(row)["order"]})
    assert ordered["order"][:] == [order(sentences)["order"] for sentences in documents["sentences"][:2]]


def test_progress_moves_with_every_batch(model, tokenizer):
    model.config.max_tokens = 12
    order = SentenceOrderingPipeline(model=model, tokenizer=tokenizer)
    documents = [["one"] * (1 + i % 4) for i in range(50)] + [[], ["one"] * 20]
    steps = []
    answers = order((document for document in documents), batch_size=4, progress=steps.append)
    next(answers)
    assert sum(steps) == 52
    assert max(steps) <= 4 and len(steps) > 13
    assert len(list(answers)) == 51 and sum(steps) == 52
