import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import Dataset
from torch.utils.data import DataLoader

from sentence_ordering import SentenceOrderingConfig, ShuffledDocuments, prepare_dataset


@pytest.fixture
def config(bert_config, tokenizer):
    return SentenceOrderingConfig(bert_config, sentence_token_id=tokenizer.cls_token_id)


@pytest.fixture
def prepared(documents, tokenizer, config):
    return prepare_dataset(documents, tokenizer, config)


def contents(row, config):
    """What a row says, independent of its shuffle: its sentences' token ids with their labels."""
    ids = np.array(row["input_ids"])
    sentences = np.split(ids, np.flatnonzero(ids == config.sentence_token_id)[1:])
    return sorted((label, *sentence.tolist()) for label, sentence in zip(row["labels"], sentences, strict=True))


@pytest.mark.parametrize("group_by_length_of", [None, 8])
def test_every_epoch_holds_every_document_once(group_by_length_of, prepared, config):
    expected = sorted(contents(row, config) for row in prepared)
    shuffled = ShuffledDocuments(prepared, config, group_by_length_of=group_by_length_of)
    for epoch in range(3):
        shuffled.set_epoch(epoch)
        assert sorted(contents(row, config) for row in shuffled) == expected


@pytest.mark.parametrize("selected", [False, True])
def test_an_epoch_takes_a_few_bytes_a_row(selected, config):
    count = 100_000
    rows = Dataset.from_dict({"input_ids": [[1, 7] * 2] * count, "labels": [[0, 1]] * count})
    rows = rows.select(range(count - 1, -1, -1)) if selected else rows
    tracemalloc.start()
    allocated = pa.total_allocated_bytes()
    try:
        shuffled = ShuffledDocuments(rows, config, group_by_length_of=16)
        shuffled.__getitems__([0, 1, 2])
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held + pa.total_allocated_bytes() - allocated < 13 * count
    assert peak < 40 * count


def test_a_stream_is_refused(prepared, config):
    with pytest.raises(TypeError, match="A stream cannot be shuffled anew in every epoch"):
        ShuffledDocuments(prepared.to_iterable_dataset(), config)


def test_rows_have_a_full_mask(prepared, config):
    row = ShuffledDocuments(prepared, config)[0]
    assert row["attention_mask"] == [1] * len(row["input_ids"])


def test_epochs_differ_in_document_order_and_in_sentence_order(prepared, config):
    shuffled = ShuffledDocuments(prepared, config)
    epochs = []
    for epoch in range(2):
        shuffled.set_epoch(epoch)
        epochs.append([(tuple(map(tuple, contents(row, config))), row["labels"]) for row in shuffled])
    assert [key for key, _ in epochs[0]] != [key for key, _ in epochs[1]]
    assert dict(epochs[0]) != dict(epochs[1])


def test_documents_of_equal_length_are_shuffled_differently(config):
    rows = Dataset.from_dict({"input_ids": [[1, 7] * 9] * 20, "labels": [list(range(9))] * 20})
    assert len({tuple(row["labels"]) for row in ShuffledDocuments(rows, config)}) == 20


def test_shuffles_depend_on_seed_epoch_and_row_alone(prepared, config):
    one, other = (ShuffledDocuments(prepared, config, seed=3) for _ in range(2))
    one.set_epoch(5)
    other.set_epoch(5)
    list(one)
    torch.manual_seed(123)
    np.random.seed(123)
    assert other[17] == one[17] == one.__getitems__([2, 17])[1]
    assert ShuffledDocuments(prepared, config, seed=4)[17] != ShuffledDocuments(prepared, config, seed=3)[17]


def test_global_generators_are_left_alone(prepared, config):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    list(ShuffledDocuments(prepared, config, group_by_length_of=8))
    assert torch.get_rng_state().equal(torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()


def test_batches_hold_documents_of_similar_length(prepared, config):
    def padding(dataset):
        batches = DataLoader(dataset, batch_size=6, collate_fn=lambda rows: [len(row["input_ids"]) for row in rows])
        return sum(max(lengths) * len(lengths) - sum(lengths) for lengths in batches)

    grouped = ShuffledDocuments(prepared, config, group_by_length_of=6)
    assert padding(grouped) < padding(ShuffledDocuments(prepared, config)) / 4
    lengths = [len(row["input_ids"]) for row in grouped]
    assert lengths != sorted(lengths), "batches come in random order"


def test_incomplete_batch_is_not_always_the_longest_documents(prepared, config):
    shuffled = ShuffledDocuments(prepared, config, group_by_length_of=16)
    last = set()
    for epoch in range(10):
        shuffled.set_epoch(epoch)
        last |= {len(shuffled[i]["input_ids"]) for i in range(48, 60)}
    assert min(last) < np.median([len(ids) for ids in prepared["input_ids"]])


def test_fewer_documents_than_a_batch_are_fine(prepared, config):
    assert len(list(ShuffledDocuments(prepared.select(range(3)), config, group_by_length_of=8))) == 3


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_see_the_new_epoch(persistent, prepared, config):
    shuffled = ShuffledDocuments(prepared, config)
    loader = DataLoader(shuffled, batch_size=4, num_workers=2, persistent_workers=persistent, collate_fn=list)
    for epoch in range(2):
        shuffled.set_epoch(epoch)
        assert [row for batch in loader for row in batch] == list(shuffled)


def test_unprepared_dataset_is_refused(documents, config):
    with pytest.raises(ValueError, match=r"no column input_ids and labels, only \['sentences'\].*prepare_dataset"):
        ShuffledDocuments(documents, config)


def test_impossible_batch_size_is_refused(prepared, config):
    with pytest.raises(ValueError, match="group_by_length_of=0 must be a batch size"):
        ShuffledDocuments(prepared, config, group_by_length_of=0)


def test_other_sentence_token_is_refused(prepared, bert_config):
    shuffled = ShuffledDocuments(prepared, SentenceOrderingConfig(bert_config, sentence_token_id=599))
    with pytest.raises(ValueError, match=r"labels but \d+ sentence tokens \(id 599\)"):
        shuffled[0]
