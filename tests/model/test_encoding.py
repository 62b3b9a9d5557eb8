import logging
from copy import copy

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from sentence_ordering import SentenceOrderingConfig, encode_documents
from sentence_ordering.model.encoding import invert_order, share_budget, sort_scores


@pytest.fixture
def config(bert_config, tokenizer):
    return SentenceOrderingConfig(bert_config, sentence_token_id=tokenizer.cls_token_id)


def test_row_is_sentence_token_and_tokens_of_each_sentence(tokenizer, config):
    tokens = tokenizer(["He ate it.", "Tom bought a cake."], add_special_tokens=False)["input_ids"]
    encoded = encode_documents([["He ate it.", "Tom bought a cake."]], tokenizer, config)
    cls = tokenizer.cls_token_id
    assert encoded["input_ids"] == [[cls, *tokens[0], cls, *tokens[1]]]
    assert encoded["attention_mask"] == [[1] * (2 + len(tokens[0]) + len(tokens[1]))]


def test_documents_may_come_from_a_generator(tokenizer, config):
    documents = [["He ate it.", "Tom bought a cake."], ["One."]]
    assert encode_documents(iter(documents), tokenizer, config) == encode_documents(documents, tokenizer, config)


def test_tokenizer_is_called_once_for_many_documents(tokenizer, config):
    calls = []

    class CountingTokenizer:
        def __call__(self, *args, **kwargs):
            calls.append(args)
            return tokenizer(*args, **kwargs)

        def __getattr__(self, name):
            return getattr(tokenizer, name)

    encode_documents([["a", "b"], ["c"], []], CountingTokenizer(), config)
    assert calls == [(["a", "b", "c"],)]


def test_rust_backend_is_called_once_for_many_documents(tokenizer, config):
    calls = []

    class Backend:
        def encode_batch_fast(self, *args, **kwargs):
            calls.append(args)
            return tokenizer.backend_tokenizer.encode_batch_fast(*args, **kwargs)

    class WatchedTokenizer(type(tokenizer)):
        backend_tokenizer = Backend()

    watched = WatchedTokenizer(tokenizer_object=tokenizer.backend_tokenizer, cls_token="[CLS]", unk_token="[UNK]")
    documents = [["a", "b"], ["c"], []]
    assert encode_documents(documents, watched, config) == encode_documents(documents, tokenizer, config)
    assert calls == [(["a", "b", "c"],)]


PIECES = [
    "He ate",
    " a cake",
    "<s>",
    "</s>",
    "<unk>",
    "<mask>",
    "[CLS]",
    "[SEP]",
    "[UNK]",
    " ",
    "é",
    "x" * 150,
    "\ud800",
]


@pytest.mark.parametrize("kind", ["tokenizer", "bpe_tokenizer", "unigram_tokenizer"])
@given(st.lists(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=6).map("".join), max_size=6))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rust_backend_gives_what_the_tokenizer_gives_when_it_is_called(kind, bert_config, request, sentences):
    tokenizer = request.getfixturevalue(kind)
    config = SentenceOrderingConfig(bert_config, sentence_token_id=tokenizer.cls_token_id)

    class CalledTokenizer(type(tokenizer)):
        def __call__(self, *args, **kwargs):
            return super().__call__(*args, **kwargs)

    called = copy(tokenizer)
    called.__class__ = CalledTokenizer
    # What a call before this one left behind must not matter.
    tokenizer(["a", "long sentence"], truncation=True, max_length=4, padding="max_length", split_special_tokens=False)
    assert encode_documents([sentences], tokenizer, config) == encode_documents([sentences], called, config)


def test_tokenizer_class_with_its_own_call_is_called(tokenizer, config):
    class CakeTokenizer(type(tokenizer)):
        def __call__(self, text, **kwargs):
            return super().__call__([sentence.replace("wine", "cake") for sentence in text], **kwargs)

    caking = copy(tokenizer)
    caking.__class__ = CakeTokenizer
    assert encode_documents([["a wine"]], caking, config) == encode_documents([["a cake"]], tokenizer, config)


def test_blank_sentences_keep_their_sentence_token(tokenizer, config):
    cls = tokenizer.cls_token_id
    assert encode_documents([["", " ", ""]], tokenizer, config)["input_ids"] == [[cls, cls, cls]]


def test_no_documents_give_no_rows(tokenizer, config):
    assert encode_documents([], tokenizer, config) == {"input_ids": [], "attention_mask": []}


@pytest.mark.parametrize("kind", ["tokenizer", "bpe_tokenizer", "unigram_tokenizer"])
@pytest.mark.parametrize("special", ["cls_token", "sep_token", "pad_token", "mask_token"])
def test_literal_special_token_is_text(kind, special, bert_config, request):
    tokenizer = request.getfixturevalue(kind)
    config = SentenceOrderingConfig(bert_config, sentence_token_id=tokenizer.cls_token_id)
    literal = getattr(tokenizer, special)
    [row] = encode_documents([[f"a {literal} b", literal]], tokenizer, config)["input_ids"]
    assert row.count(tokenizer.cls_token_id) == 2
    assert set(row) & {*tokenizer.all_special_ids} <= {tokenizer.cls_token_id, tokenizer.unk_token_id}
    assert len(row) > 4, "the literal token is left out"


def test_wordpiece_splits_a_literal_special_token_into_its_characters(tokenizer, config):
    [row] = encode_documents([["[CLS]"]], tokenizer, config)["input_ids"]
    assert row == [tokenizer.cls_token_id, *tokenizer("[ cls ]", add_special_tokens=False)["input_ids"]]
    assert len(row) > 4


def test_sentence_token_that_is_no_special_token_is_text_in_a_sentence(tokenizer, config):
    config.sentence_token_id = tokenizer.convert_tokens_to_ids("the")
    [row] = encode_documents([["the cake", "He ate the cake"]], tokenizer, config)["input_ids"]
    assert row.count(config.sentence_token_id) == 2


def test_sentence_token_that_is_also_the_unknown_token_occurs_once_per_sentence(bert_config, bpe_tokenizer):
    tokenizer = bpe_tokenizer.__class__(
        tokenizer_object=bpe_tokenizer.backend_tokenizer, unk_token="<s>", cls_token="<s>", pad_token="<pad>"
    )
    config = SentenceOrderingConfig(bert_config, sentence_token_id=tokenizer.cls_token_id)
    [row] = encode_documents([["a <s> b", "<s>"]], tokenizer, config)["input_ids"]
    assert row.count(tokenizer.cls_token_id) == 2


def test_tokenizer_that_saved_a_truncation_does_not_truncate(tokenizer, config):
    tokenizer("warm up", truncation=True, max_length=4)
    [row] = encode_documents([["He ate it. " * 20]], tokenizer, config)["input_ids"]
    assert len(row) > 60


def test_forty_sentences_in_128_tokens_are_all_kept(tokenizer, config):
    config.max_tokens = 128
    document = ["."] * 20 + ["Then he went home and ate all of the big cake."] * 20
    [row] = encode_documents([document], tokenizer, config)["input_ids"]
    cls = tokenizer.cls_token_id
    starts = [i for i, token in enumerate(row) if token == cls]
    lengths = np.diff([*starts, len(row)]) - 1
    short = len(tokenizer(".", add_special_tokens=False)["input_ids"])
    assert len(row) == 128
    assert len(starts) == 40
    assert lengths[:20].tolist() == [short] * 20
    # 128 tokens - 40 sentence tokens - those of the short sentences, shared by 20.
    shares = lengths[20:]
    assert shares.sum() == 88 - 20 * short
    assert shares.max() - shares.min() <= 1


def test_shortening_is_reported_once_with_its_size(tokenizer, config, caplog):
    config.max_tokens = 10
    long = ["Tom bought a cake.", "Then he ate it all."]
    length = sum(len(ids) for ids in tokenizer(long, add_special_tokens=False)["input_ids"])
    with caplog.at_level(logging.WARNING):
        encode_documents([long, long, ["a"]], tokenizer, config)
    [message] = [record.getMessage() for record in caplog.records]
    assert message.startswith("2 of 3 documents do not fit into 10 tokens")
    assert f"by {2 * (length - 8)} tokens in all" in message


def test_more_sentences_than_tokens_are_refused(tokenizer, config):
    config.max_tokens = 3
    with pytest.raises(ValueError, match="document 1: 4 sentences do not fit into 3 tokens"):
        encode_documents([["a", "b", "c"], ["a", "b", "c", "d"]], tokenizer, config)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("one string", "document 0: a document is a list of sentences.*type str: 'one string'"),
        (["a", 3], "document 0: sentence 1 must be a string, but is of type int: 3"),
        (["a", None], "document 0: sentence 1 must be a string, but is of type NoneType"),
    ],
)
def test_what_is_no_document_is_refused(document, message, tokenizer, config):
    with pytest.raises(TypeError, match=message):
        encode_documents([document], tokenizer, config)


@given(lengths=st.lists(st.integers(0, 50), min_size=1, max_size=30), budget=st.integers(0, 400))
def test_budget_is_spent_and_shared_fairly(lengths, budget):
    shares = share_budget(lengths, budget)
    assert sum(shares) == min(sum(lengths), budget)
    assert all(share <= length for share, length in zip(shares, lengths, strict=True))
    shortened = [share for share, length in zip(shares, lengths, strict=True) if share < length]
    assert all(share <= smallest + 1 for share in shares for smallest in shortened)


def test_what_short_sentences_leave_over_goes_to_long_ones():
    assert share_budget([2, 9, 9], 12) == [2, 5, 5]


def test_scores_are_sorted_lowest_first_and_padding_last():
    scores = np.array([[2.5, 0.5, -100.0], [3.0, 1.0, 2.0]])
    valid = np.array([[True, True, False], [True, True, True]])
    assert sort_scores(scores, valid).tolist() == [[1, 0, 2], [1, 2, 0]]


@given(
    npst.arrays(np.float32, st.integers(0, 12), elements=st.sampled_from([0.0, 1.0, np.inf, -np.inf, np.nan])),
    st.integers(0, 5),
)
def test_every_score_vector_gives_a_stable_permutation(scores, padding):
    padded = np.concatenate([scores, np.full(padding, -100, np.float32)])
    order = sort_scores(padded, np.arange(len(padded)) < len(scores))[: len(scores)]
    assert sorted(order) == list(range(len(scores)))
    assert order.tolist() == sorted(range(len(scores)), key=lambda i: (np.isnan(scores[i]), scores[i], i)) or (
        # NaN has no order of its own among Python's keys.
        np.isnan(scores).any() and not np.isnan(scores[order][: (~np.isnan(scores)).sum()]).any()
    )


def test_inverting_an_order_gives_positions():
    assert invert_order(np.array([2, 0, 1])).tolist() == [1, 2, 0]
