import json

import pytest
from datasets import Dataset, DatasetDict

from sentence_ordering import SentenceOrderingConfig, prepare_dataset
from sentence_ordering.data import load_documents, read_documents, split_marked_text


def test_embedded_corpus_has_documents_and_disjoint_splits():
    splits = load_documents("bigbench_narratives")
    assert {name: len(split) for name, split in splits.items()} == {"train": 770, "validation": 42}
    texts = [{" ".join(sentences).lower() for sentences in split["sentences"]} for split in splits.values()]
    assert texts[0].isdisjoint(texts[1])
    assert min(len(sentences) for split in splits.values() for sentences in split["sentences"]) >= 2


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".txt"])
def test_files_are_read(suffix, tmp_path):
    rows = [["He ate it.", "Tom bought a cake."], ["a", "b", "c"]]
    path = tmp_path / f"corpus{suffix}"
    if suffix == ".txt":
        path.write_text("He ate it.\nTom bought a cake.\n\n\na\nb\nc")
    elif suffix == ".parquet":
        Dataset.from_dict({"sentences": rows}).to_parquet(path)
    else:
        path.write_text("".join(json.dumps({"sentences": row}) + "\n" for row in rows))
    assert load_documents({"train": str(path)})["train"]["sentences"][:] == rows


def test_saved_dataset_is_read(tmp_path):
    dataset = Dataset.from_dict({"sentences": [["a", "b"]]})
    dataset.save_to_disk(tmp_path / "one")
    DatasetDict(test=dataset).save_to_disk(tmp_path / "splits")
    assert load_documents(str(tmp_path / "one"))["train"][0] == {"sentences": ["a", "b"]}
    assert load_documents(str(tmp_path / "splits")).keys() == {"test"}


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file '.*absent.jsonl'"):
        load_documents({"train": str(tmp_path / "absent.jsonl")})


def test_malformed_line_of_a_corpus_is_named(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"sentences": ["a", "b"]}\n{"sentences": ["a", \n')
    with pytest.raises(ValueError, match=r"bad.jsonl:2: is not JSON \(.* at column \d+\)"):
        load_documents({"train": str(path)})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"lines": ["a"]}\n\n{"lines": ["b"]}\n{oops\n', ":4: is not JSON"),
        (b'{"lines": ["\xff"]}\n', ":1: is not UTF-8"),
        (b'["a", "b"]\n["c"]\n', r":1: expected an object like .* but found \['a', 'b'\]"),
        (b"", "the file is empty"),
    ],
)
def test_every_kind_of_bad_corpus_is_told(content, reason, tmp_path):
    (tmp_path / "bad.jsonl").write_bytes(content)
    with pytest.raises(ValueError, match=f"bad.jsonl:? ?{reason}"):
        load_documents({"train": str(tmp_path / "bad.jsonl")})


def test_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "corpus.csv").write_text("sentence1,sentence2\na,b\n")
    with pytest.raises(ValueError, match=r"corpus.csv: expected a file that ends in .jsonl, .json, .parquet or .txt"):
        load_documents({"train": str(tmp_path / "corpus.csv")})


def read(text, **kwargs):
    return list(read_documents(text.splitlines(keepends=True), "file", **kwargs))


def test_json_lines_keep_their_other_keys():
    text = b'\xef\xbb\xbf{"id": 7, "sentences": ["a", "b"]}\n\n["c", "d"]\r\n'
    assert read(text, jsonl=True) == [{"id": 7, "sentences": ["a", "b"]}, {"sentences": ["c", "d"]}]


def test_blank_lines_part_documents_of_text():
    text = "\n \nHe ate it.\nTom bought a cake.\r\n\n\t\nä\n".encode()
    assert read(text, jsonl=False) == [{"sentences": ["He ate it.", "Tom bought a cake."]}, {"sentences": ["ä"]}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"sentences": ["a",', r"file:3: is not JSON \(.* at column 20\)"),
        (b'{"text": "a"}', r"file:3: the object has no \"sentences\", only the keys \['text'\]"),
        (b"{}", r"has no \"sentences\", only the keys \[\]"),
        (b'"a"', "found 'a'"),
        (b'{"sentences": "a b"}', "file:3: a document is a list of sentences"),
        (b'["a", 3]', "file:3: sentence 1 must be a string, but is of type int: 3"),
        (b'["a", "\xff"]', r"file:3: is not UTF-8 \(invalid start byte at byte 7\)"),
    ],
)
def test_malformed_json_lines_are_named_with_the_reason(line, reason):
    text = b'["a"]\n\n' + line + b'\n["z"]\n'
    with pytest.raises((TypeError, ValueError), match=reason):
        read(text, jsonl=True)


def test_reading_goes_on_behind_rejected_lines():
    rejected = []
    text = b'["a"]\n{oops\n["b", null]\n["\xff"]\n["z"]\n'
    assert read(text, jsonl=True, on_error=rejected.append) == [{"sentences": ["a"]}, {"sentences": ["z"]}]
    assert [(record["source"], record["line"], record["text"]) for record in rejected] == [
        ("file", 2, "{oops"),
        ("file", 3, '["b", null]'),
        ("file", 4, '["\\xff"]'),
    ]
    assert rejected[0]["reason"].startswith("file:2: is not JSON")


def test_rejected_text_is_named_by_its_first_line():
    rejected = []
    text = b"a\nb\n\nok\n\xff\nend\n"
    assert read(text, jsonl=False, on_error=rejected.append) == [{"sentences": ["a", "b"]}]
    assert [record["line"] for record in rejected] == [4]


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
