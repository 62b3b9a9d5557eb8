import pytest
from transformers import DataCollatorForSeq2Seq

from sentence_ordering import DataCollatorForSentenceOrdering, SentenceOrderingConfig, prepare_dataset


@pytest.fixture
def config(bert_config, tokenizer):
    return SentenceOrderingConfig(bert_config, sentence_token_id=tokenizer.cls_token_id)


@pytest.fixture
def collate(tokenizer, config):
    assert (tokenizer.cls_token_id, tokenizer.pad_token_id) == (1, 3)
    return DataCollatorForSentenceOrdering(tokenizer, config)


def test_rows_are_padded_to_the_longest(collate):
    batch = collate(
        [{"input_ids": [1, 7, 1, 8, 9], "labels": [1, 0]}, {"input_ids": [1, 1, 5, 1], "labels": [2, 0, 1]}]
    )
    assert batch["input_ids"].tolist() == [[1, 7, 1, 8, 9], [1, 1, 5, 1, 3]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]
    assert batch["labels"].tolist() == [[1, 0, -100], [2, 0, 1]]


def test_unlabelled_rows_make_an_unlabelled_batch(collate):
    assert collate([{"input_ids": [1, 7, 1]}]).keys() == {"input_ids", "attention_mask"}


def test_width_is_rounded_up_to_a_multiple(tokenizer, config):
    collate = DataCollatorForSentenceOrdering(tokenizer, config, pad_to_multiple_of=8)
    assert collate([{"input_ids": [1] * 8}])["input_ids"].shape == (1, 8)
    assert collate([{"input_ids": [1] * 9}])["input_ids"].shape == (1, 16)


def test_width_is_not_rounded_up_beyond_what_the_backbone_can_read(tokenizer, config):
    collate = DataCollatorForSentenceOrdering(tokenizer, config, pad_to_multiple_of=1000)
    assert collate([{"input_ids": [1] * 9}])["input_ids"].shape == (1, config.position_limit)


@pytest.mark.parametrize("labels", [[0], [0, 1, 2]])
def test_wrong_number_of_labels_is_refused_with_the_figures(labels, collate):
    good = {"input_ids": [1, 7, 1], "labels": [0, 1]}
    message = rf"Row 1 of the batch has {len(labels)} labels but 2 sentence tokens \(id 1\) among its 5 tokens"
    with pytest.raises(ValueError, match=message):
        collate([good, {"input_ids": [1, 7, 1, 8, 8], "labels": labels}])


@pytest.mark.parametrize("first", [True, False])
def test_partly_labelled_batch_is_refused(first, collate):
    rows = [{"input_ids": [1, 7], "labels": [0]}, {"input_ids": [1, 7]}]
    with pytest.raises(ValueError, match="Only 1 of the batch's 2 rows have labels"):
        collate(rows if first else rows[::-1])


def test_tokenizer_without_pad_token_is_refused(tokenizer, config):
    tokenizer = tokenizer.__class__(tokenizer_object=tokenizer.backend_tokenizer, cls_token="[CLS]")
    with pytest.raises(ValueError, match="has no pad token.*tokenizer.pad_token = "):
        DataCollatorForSentenceOrdering(tokenizer, config)


def test_stock_collator_makes_the_same_batch(collate, tokenizer, config, documents):
    prepared = prepare_dataset(documents, tokenizer, config)
    rows = [prepared[i] for i in range(4)]
    stock = DataCollatorForSeq2Seq(tokenizer)(rows)
    ours = collate(rows)
    assert all(stock[name].equal(ours[name]) for name in ("input_ids", "attention_mask", "labels"))


@pytest.mark.parametrize("row", [["Tom was hungry.", "He ate."], {"sentences": ["Tom was hungry.", "He ate."]}])
def test_documents_that_were_not_prepared_are_refused(row, collate):
    with pytest.raises(TypeError, match="have to be prepared .* `prepare_dataset"):
        collate([row])
