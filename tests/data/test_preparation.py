import logging
import subprocess
import sys
from unittest.mock import PropertyMock

import numpy as np
import pytest
from datasets import Dataset, DatasetDict, IterableDataset, load_from_disk

from sentence_ordering import SentenceOrderingConfig, encode_documents, prepare_dataset
from sentence_ordering.data import caching, cut_windows, shuffle_document
from sentence_ordering.model import configuration_sentence_ordering, encoding


@pytest.fixture
def config(bert_config, tokenizer):
    return SentenceOrderingConfig(bert_config, sentence_token_id=tokenizer.cls_token_id)


def undo(row, config):
    """The sentences of a row as token ids, in natural order."""
    ids = np.array(row["input_ids"])
    sentences = np.split(ids, np.flatnonzero(ids == config.sentence_token_id)[1:])
    return [sentences[row["labels"].index(position)].tolist() for position in range(len(sentences))]


def test_labels_are_the_natural_places_of_the_shuffled_sentences(documents, tokenizer, config):
    prepared = prepare_dataset(documents, tokenizer, config)
    assert prepared.column_names == ["input_ids", "attention_mask", "labels"]
    assert any(row["labels"] != sorted(row["labels"]) for row in prepared)
    for row, sentences in zip(prepared, documents["sentences"], strict=True):
        natural = encode_documents([sentences], tokenizer, config)["input_ids"][0]
        assert [token for sentence in undo(row, config) for token in sentence] == natural
        assert row["attention_mask"] == [1] * len(row["input_ids"])


def test_labels_are_ranks_and_not_the_inverse_permutation(tokenizer, config):
    rows = Dataset.from_dict({"sentences": [["a a", "b b b", "c c c c"]], "places": [[2, 0, 1]]})
    [row] = prepare_dataset(rows, tokenizer, config, positions_column="places")
    assert row["labels"] == [2, 0, 1]
    lengths = np.diff([*np.flatnonzero(np.array(row["input_ids"]) == config.sentence_token_id), len(row["input_ids"])])
    assert lengths.tolist() == sorted(lengths), "shuffled documents keep their order"


def test_shuffle_depends_on_seed_and_text_alone(documents, tokenizer, config):
    prepared = prepare_dataset(documents, tokenizer, config)
    backwards = prepare_dataset(documents.select(range(59, -1, -1)), tokenizer, config)
    assert prepared["labels"][:] == backwards["labels"][::-1]
    assert prepared["labels"][:] != prepare_dataset(documents, tokenizer, config, seed=1)["labels"][:]


def test_shuffles_are_uniform():
    first = [shuffle_document([f"{i}", "b", "c"], seed=0).tolist() for i in range(3000)]
    counts = [first.count(list(order)) for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))]
    assert sum(counts) == 3000
    assert min(counts) > 420


def test_shuffle_tells_sentence_boundaries():
    assert shuffle_document(["ab", *"cdefghij"], 0).tolist() != shuffle_document(["a", "bc", *"defghij"], 0).tolist()
    assert shuffle_document(["\ud800", "a"], seed=0).shape == (2,)


def test_splits_streams_and_processes_give_the_same_rows(documents, tokenizer, config):
    expected = list(prepare_dataset(documents, tokenizer, config))
    for kind in (DatasetDict, dict):
        splits = prepare_dataset(kind(train=documents, test=documents.select([3])), tokenizer, config)
        assert type(splits) is kind
        assert list(splits["train"]) == expected
        assert list(splits["test"]) == expected[3:4]
    assert list(prepare_dataset(documents.to_iterable_dataset(), tokenizer, config)) == expected
    assert list(prepare_dataset(documents, tokenizer, config, num_proc=2)) == expected


def test_sentences_column_may_have_any_name_and_other_columns_go(documents, tokenizer, config):
    renamed = documents.rename_column("sentences", "lines").add_column("id", list(range(60)))
    prepared = prepare_dataset(renamed, tokenizer, config, sentences_column="lines")
    assert list(prepared) == list(prepare_dataset(documents, tokenizer, config))


@pytest.mark.parametrize("streaming", [False, True])
def test_missing_column_is_refused_with_those_there_are(streaming, documents, tokenizer, config):
    dataset = documents.rename_column("sentences", "lines")
    dataset = dataset.to_iterable_dataset() if streaming else dataset
    with pytest.raises(ValueError, match=r"no column 'sentences', only \['lines'\]"):
        prepare_dataset(dataset, tokenizer, config)


def test_short_documents_are_left_out_with_a_count(tokenizer, config, caplog):
    dataset = Dataset.from_dict({"sentences": [["a", "b"], ["alone"], [], ["c", "d"]]})
    with caplog.at_level(logging.WARNING):
        assert len(prepare_dataset(dataset, tokenizer, config)) == 2
    assert [r.getMessage() for r in caplog.records] == [
        "2 of 4 documents have fewer than 2 sentences and were left out."
    ]


def test_corpus_of_short_documents_only_gives_an_empty_dataset(tokenizer, config):
    prepared = prepare_dataset(Dataset.from_dict({"sentences": [["alone"]]}), tokenizer, config)
    assert (len(prepared), prepared.column_names) == (0, ["input_ids", "attention_mask", "labels"])


def test_empty_dataset_stays_empty(tokenizer, config):
    prepared = prepare_dataset(Dataset.from_dict({"sentences": []}), tokenizer, config)
    assert (len(prepared), prepared.column_names) == (0, ["input_ids", "attention_mask", "labels"])


def test_ids_beyond_16_bits_survive(tokenizer, config):
    config.backbone_config.vocab_size = 80000
    config.sentence_token_id = 70000
    [row] = prepare_dataset(Dataset.from_dict({"sentences": [["a", "b"]]}), tokenizer, config)
    assert row["input_ids"].count(70000) == 2


def test_numpy_formatted_dataset_is_read(documents, tokenizer, config):
    prepared = prepare_dataset(documents.with_format("numpy"), tokenizer, config)
    assert list(prepared) == list(prepare_dataset(documents, tokenizer, config))


def test_stream_reports_short_documents_once(tokenizer, config, caplog):
    dataset = Dataset.from_dict({"sentences": [["a", "b"], ["alone"]] * 3000}).to_iterable_dataset()
    with caplog.at_level(logging.WARNING):
        assert len(list(prepare_dataset(dataset, tokenizer, config))) == 3000
    assert [r.getMessage() for r in caplog.records] == [
        "Documents of fewer than 2 sentences are left out of the stream."
    ]


def test_shortened_documents_are_reported_once_for_the_dataset(documents, tokenizer, config, caplog):
    config.max_tokens = 40
    with caplog.at_level(logging.WARNING):
        prepared = prepare_dataset(documents, tokenizer, config)
    tokens = [tokenizer(sentences, add_special_tokens=False)["input_ids"] for sentences in documents["sentences"]]
    cut = [surplus for ids in tokens if (surplus := sum(len(i) + 1 for i in ids) - 40) > 0]
    assert max(map(len, prepared["input_ids"])) == 40
    assert [r.getMessage() for r in caplog.records] == [
        f"{len(cut)} of 60 documents do not fit into 40 tokens: their longest sentences were shortened, by {sum(cut)} "
        "tokens in all; no sentence was dropped."
    ]


def test_more_sentences_than_tokens_are_refused_with_the_row(tokenizer, config):
    config.max_tokens = 3
    dataset = Dataset.from_dict({"sentences": [["a", "b"], ["a", "b", "c", "d"]]})
    with pytest.raises(ValueError, match="row 1: 4 sentences do not fit into 3 tokens"):
        prepare_dataset(dataset, tokenizer, config)


def test_limit_is_looked_up_a_few_times_whatever_the_number_of_documents(documents, tokenizer, config, monkeypatch):
    looked_up = []
    limit = PropertyMock(side_effect=lambda: looked_up.append(1))
    monkeypatch.setattr(SentenceOrderingConfig, "token_limit", limit)
    prepare_dataset(documents, tokenizer, config)
    assert 0 < len(looked_up) < 6 < len(documents)


def test_lists_of_documents_give_the_rows_of_a_dataset(documents, tokenizer, config):
    sentences = documents["sentences"][:]
    expected = prepare_dataset(documents, tokenizer, config)[:]
    assert prepare_dataset(sentences, tokenizer, config)[:] == expected
    assert prepare_dataset([{"sentences": row} for row in sentences], tokenizer, config)[:] == expected


def test_missing_sentence_is_refused_with_the_row(tokenizer, config):
    dataset = Dataset.from_dict({"sentences": [["a", "b"], ["a", None]]})
    with pytest.raises(TypeError, match="row 1: sentence 1 must be a string, but is of type NoneType"):
        prepare_dataset(dataset, tokenizer, config)


def test_rows_of_a_stream_need_not_have_the_same_columns(tokenizer, config):
    rows = [{"sentences": ["a", "b"]}, {"sentences": ["c", "d"], "title": "T"}, {"sentences": ["alone"], "title": "U"}]
    stream = IterableDataset.from_generator(lambda: iter(rows))
    assert len(list(prepare_dataset(stream, tokenizer, config))) == 2


@pytest.mark.parametrize("positions", [[1, 2], [0, 0], [0], [0, 1, 2], [0, None], []])
def test_positions_that_are_no_permutation_are_refused_with_the_row(positions, tokenizer, config):
    dataset = Dataset.from_dict({"sentences": [["a", "b"], ["c", "d"]], "places": [[1, 0], positions]})
    with pytest.raises(ValueError, match=r"row 1: the positions .* are no permutation of 0\.\.1"):
        prepare_dataset(dataset, tokenizer, config, positions_column="places")


def test_documents_without_positions_get_labels_that_the_loss_ignores(tokenizer, config):
    dataset = Dataset.from_dict({"sentences": [["a", "b"], ["c", "d"]], "places": [[1, 0], None]})
    prepared = prepare_dataset(dataset, tokenizer, config, positions_column="places")
    assert prepared["labels"][:] == [[1, 0], [-100, -100]]


def test_new_process_finds_the_encoded_documents_in_the_cache(documents, encoder_folder, tmp_path, monkeypatch, capfd):
    documents.save_to_disk(tmp_path / "documents")
    code = (
        "import sys\n"
        "from datasets import load_from_disk\n"
        "from transformers import AutoTokenizer\n"
        "from sentence_ordering import AutoModelForSentenceOrdering, prepare_dataset\n"
        "tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])\n"
        "config = AutoModelForSentenceOrdering.from_pretrained(sys.argv[1]).config\n"
        "prepare_dataset(load_from_disk(sys.argv[2]), tokenizer, config)\n"
    )

    def cached():
        return {path.name: path.stat().st_mtime_ns for path in (tmp_path / "documents").glob("cache-*")}

    monkeypatch.setattr(sys, "argv", ["-c", str(encoder_folder), str(tmp_path / "documents")])
    exec(code, {})
    files = cached()
    assert len(files) == 1
    assert "Encoding documents" in capfd.readouterr().err
    # Not a fork of this process, whose strings have the same hashes.
    run = subprocess.run([sys.executable, "-c", code, *sys.argv[1:]], capture_output=True, text=True, check=True)
    assert cached() == files
    assert "Encoding documents" not in run.stderr
    assert len(load_from_disk(tmp_path / "documents")) == 60


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [(configuration_sentence_ordering, "__version__", "99.0.0"), (caching, "_code", lambda: [b"other code"])],
)
def test_another_version_does_not_get_the_cached_rows(
    module, name, value, documents, tokenizer, config, tmp_path, monkeypatch
):
    documents.save_to_disk(tmp_path / "documents")
    saved = load_from_disk(tmp_path / "documents")
    old = prepare_dataset(saved, tokenizer, config)["input_ids"][:]
    build_row = encoding.build_row
    monkeypatch.setattr(encoding, "build_row", lambda ids, token: [*build_row(ids, token), 7])
    assert prepare_dataset(saved, tokenizer, config)["input_ids"][:] == old, "the cache is not used"
    monkeypatch.setattr(module, name, value)
    assert prepare_dataset(saved, tokenizer, config)["input_ids"][:] == [[*row, 7] for row in old]


def test_another_version_does_not_get_the_cached_windows(tmp_path, monkeypatch):
    Dataset.from_dict({"sentences": [[f"{i}" for i in range(60)]]}).save_to_disk(tmp_path / "books")
    saved = load_from_disk(tmp_path / "books")
    fingerprint = cut_windows(saved)._fingerprint
    assert cut_windows(saved)._fingerprint == fingerprint != cut_windows(saved, seed=1)._fingerprint
    monkeypatch.setattr(configuration_sentence_ordering, "__version__", "99.0.0")
    assert cut_windows(saved)._fingerprint != fingerprint
