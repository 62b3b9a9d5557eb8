import logging
import math

import numpy as np
import pytest
from datasets import Dataset

from sentence_ordering.data import load_documents, shuffle_document
from sentence_ordering.evaluation.measuring import Corpus, collect, load_corpus, natural_order, predict

DOCUMENTS = [["a", "b", "c"], [], ["x"], ["k", "l", "m", "n"]]


def by_letter(documents):
    """An orderer that sorts by text, which is right for `DOCUMENTS`."""
    for sentences in documents:
        order = np.argsort(sentences)
        yield {
            "order": order.tolist(),
            "scores": np.sort([float(ord(sentence)) for sentence in sentences]).tolist(),
            "positions": np.argsort(order).tolist(),
        }


@pytest.fixture
def corpus():
    return Corpus("letters", Dataset.from_dict({"sentences": DOCUMENTS}))


def test_every_document_is_given_in_several_input_orders(corpus):
    predictions = list(predict(by_letter, corpus, input_orders=3, seed=5))
    assert [(prediction["row"], prediction["shuffle"]) for prediction in predictions] == [
        (row, shuffle) for row in range(4) for shuffle in range(3)
    ]
    for prediction in predictions:
        expected = shuffle_document(DOCUMENTS[prediction["row"]], 5 + prediction["shuffle"]).tolist()
        assert prediction["input"] == prediction["labels"] == prediction["positions"] == expected


def test_answers_stand_in_the_corpus_order_whatever_was_given(corpus):
    answers = collect(predict(by_letter, corpus, input_orders=3, seed=0), 3)
    assert answers.counts().tolist() == [3, 0, 0, 4]
    assert answers.true[3].tolist() == [0, 1, 2, 3]
    assert answers.places[3].tolist() == [[0, 1, 2, 3]] * 3
    assert answers.scores[0].tolist() == [[97, 98, 99]] * 3
    assert answers.places[1].shape == (3, 0)


def test_scores_that_say_nothing_are_refused_with_their_row(corpus):
    def broken(documents):
        for answer in by_letter(documents):
            yield answer | {"scores": [math.nan if score > 108 else score for score in answer["scores"]]}

    with pytest.raises(ValueError, match="row 2 has scores that are NaN or infinite"):
        collect(predict(broken, corpus, input_orders=1, seed=0), 1)


def test_positions_of_a_table_are_text(tmp_path):
    file = tmp_path / "shuffled.csv"
    file.write_text('sentences,positions\n"[""c"", ""a"", ""b""]","[2, 0, 1]"\n"[""y"", ""x""]",\n')
    rows = load_documents({"test": str(file)})["test"]
    corpus = load_corpus("letters", rows, positions_column="positions")
    answers = collect(predict(by_letter, corpus, input_orders=1, seed=0), 1)
    assert [true.tolist() for true in answers.true] == [[2, 0, 1], [-100, -100]]


def test_what_is_trained_on_may_be_in_natural_order_where_documents_are_shuffled():
    shuffled = Dataset.from_dict({"sentences": [["b", "a"]], "positions": [[1, 0]]})
    corpus = load_corpus("c", shuffled, Dataset.from_dict({"sentences": [["c", "d"]]}), positions_column="positions")
    assert [natural_order(row) for row in corpus.train] == [["c", "d"]]


def test_a_column_that_is_missing_is_told_with_its_corpus(corpus):
    with pytest.raises(ValueError, match=r"^stories\.csv: The dataset has no column 'positions'"):
        load_corpus("stories.csv", corpus.documents, positions_column="positions")


def test_one_column_for_sentences_and_positions_is_refused(corpus):
    with pytest.raises(ValueError, match="cannot both be in column 'sentences'"):
        load_corpus("letters", corpus.documents, positions_column="sentences")


def test_shuffled_corpus_is_first_given_as_it_is():
    rows = {"sentences": [["c", "a", "b"], ["y", "x"]], "positions": [[2, 0, 1], None]}
    corpus = Corpus("letters", Dataset.from_dict(rows))
    predictions = list(predict(by_letter, corpus, input_orders=2, seed=0))
    assert (predictions[0]["input"], predictions[0]["labels"]) == ([0, 1, 2], [2, 0, 1])
    again = predictions[1]
    assert again["input"] == shuffle_document(["c", "a", "b"], 1).tolist()
    assert again["labels"] == again["positions"] == [[2, 0, 1][index] for index in again["input"]]
    answers = collect(predictions, 2)
    assert answers.true[0].tolist() == [2, 0, 1]
    assert answers.places[0].tolist() == [[2, 0, 1]] * 2
    assert answers.counts().tolist() == [3, 0]


def test_columns_get_the_names_of_a_corpus():
    rows = Dataset.from_dict({"lines": [["b", "a"]], "places": [[1, 0]], "sentences": ["other"]})
    train = Dataset.from_dict({"lines": [["d", "c"]], "places": [[1, 0]]})
    corpus = load_corpus("c", rows, train, sentences_column="lines", positions_column="places")
    assert corpus.documents[:] == {"sentences": [["b", "a"]], "positions": [[1, 0]]}
    assert corpus.train[:] == {"sentences": [["d", "c"]], "positions": [[1, 0]]}


def test_baselines_are_not_trained_on_what_is_measured(caplog):
    measured = Dataset.from_dict({"sentences": [["He ate.", "He slept."], ["d", "c"]]})
    train = Dataset.from_dict({"sentences": [["e", "f"], ["He slept!", "he ate"], ["c", "d"], ["g"]]})
    with caplog.at_level(logging.WARNING):
        corpus = load_corpus("mine", measured, train)
    assert corpus.train["sentences"][:] == [["e", "f"], ["g"]]
    assert "mine: 2 of 4 documents to train baselines on are measured on: left out." in caplog.text
    with pytest.raises(ValueError, match="mine: all documents to train baselines on are among those to measure on"):
        load_corpus("mine", measured, measured)


@pytest.mark.parametrize(
    ("rows", "train", "error", "message"),
    [
        ({"sentences": []}, None, ValueError, "c: there are no documents"),
        ({"text": ["a"]}, None, ValueError, "no column 'sentences', only .'text'"),
        ({"sentences": [["a"], None]}, None, TypeError, "c: row 1: a document is a list"),
        ({"sentences": [["a"]]}, {"sentences": ["a b"]}, TypeError, "c: training row 0: a document is a list"),
    ],
)
def test_unfit_documents_are_refused_before_anything_is_measured(rows, train, error, message):
    with pytest.raises(error, match=message):
        load_corpus("c", Dataset.from_dict(rows), train and Dataset.from_dict(train))


def test_wrong_positions_are_refused_with_their_row():
    rows = Dataset.from_dict({"sentences": [["a", "b"]], "places": [[1, 2]]})
    with pytest.raises(ValueError, match=r"c: row 0: the positions \[1, 2\] are no permutation"):
        load_corpus("c", rows, positions_column="places")
