import pytest
from datasets import Dataset

from sentence_ordering import SentenceOrderingConfig, prepare_dataset
from sentence_ordering.data import split_marked_text


def test_marked_text_becomes_sentences_and_positions(tokenizer, bert_config):
    marked = Dataset.from_dict(
        {
            "text": ["[CLS] He ate it. [CLS] Tom bought a cake. [CLS] Yum.", "[CLS]b[CLS]a"],
            "so_targets": [[1, 0, 2], [1, 0, -100]],
        }
    )
    rows = split_marked_text(marked, "[CLS]")
    assert rows[:] == {
        "sentences": [["He ate it.", "Tom bought a cake.", "Yum."], ["b", "a"]],
        "positions": [[1, 0, 2], [1, 0]],
    }
    config = SentenceOrderingConfig(bert_config, sentence_token_id=tokenizer.cls_token_id)
    prepared = prepare_dataset(rows, tokenizer, config, positions_column="positions")
    assert prepared["labels"][:] == [[1, 0, 2], [1, 0]]


@pytest.mark.parametrize(
    ("text", "positions"), [("[CLS] a [CLS] b", [0]), ("a [CLS] b", [0, 1]), ("a [CLS] b", [0]), ("", [0])]
)
def test_marked_text_that_does_not_fit_its_positions_is_refused_with_the_row(text, positions):
    marked = Dataset.from_dict({"text": ["[CLS] a", text], "so_targets": [[0], positions]})
    with pytest.raises(ValueError, match=r"row 1: the text must begin with '\[CLS\]'"):
        split_marked_text(marked, "[CLS]")


def test_marked_text_without_its_columns_is_refused():
    with pytest.raises(ValueError, match=r"no column 'so_targets', only \['text'\]"):
        split_marked_text(Dataset.from_dict({"text": ["[CLS] a"]}), "[CLS]")
