import numpy as np
import pytest
from datasets import Dataset

from sentence_ordering.data import load_documents
from sentence_ordering.evaluation.baselines import make_baselines, train_bag_of_words
from sentence_ordering.evaluation.measuring import Corpus, collect, load_corpus, predict
from sentence_ordering.evaluation.statistics import measure


def measure_baselines(corpus, input_orders=1):
    return {
        name: measure(collect(predict(order, corpus, input_orders=input_orders, seed=0), input_orders))
        for name, order in make_baselines(corpus, seed=0).items()
    }


def test_bag_of_words_beats_random_and_input_order_on_unseen_stories():
    splits = load_documents("bigbench_narratives")
    measured = measure_baselines(load_corpus("stories", splits["validation"], splits["train"]), input_orders=3)
    tau = {name: measurement.metrics["kendall_tau"].mean for name, measurement in measured.items()}
    assert list(tau) == ["random order", "input order", "bag of words"]
    assert abs(tau["random order"]) < 0.2 and abs(tau["input order"]) < 0.2
    assert tau["bag of words"] > 0.45
    assert measured["bag of words"].same_order > 0.95 > 0.5 > measured["random order"].same_order


def test_input_order_is_that_of_a_shuffled_corpus():
    rows = {"sentences": [["b", "a", "c"], ["d", "e"]], "positions": [[1, 0, 2], [0, 1]]}
    measured = measure_baselines(Corpus("given", Dataset.from_dict(rows)))
    assert measured["input order"].metrics["kendall_tau"].mean == pytest.approx((1 / 3 + 1) / 2)
    assert measured["input order"].metrics["pmr"].mean == 0.5


def test_without_training_documents_there_is_no_bag_of_words():
    corpus = Corpus("c", Dataset.from_dict({"sentences": [["a", "b"]]}))
    assert list(make_baselines(corpus, 0)) == ["random order", "input order"]
    assert train_bag_of_words([["alone"], []]) is None
    assert train_bag_of_words([["one", "pair"]]) is None


def test_training_documents_are_put_in_natural_order_by_their_positions():
    rows = {"sentences": [["end", "start"]] * 20, "positions": [[1, 0]] * 19 + [None]}
    documents = Dataset.from_dict(rows)
    order = make_baselines(Corpus("c", documents, documents), 0)["bag of words"]
    assert [answer["positions"] for answer in order(iter([["end", "start"], []]))] == [[1, 0], []]


def test_words_are_found_without_spaces_between_them():
    documents = [["首先洗菜", "然后切菜", "最后吃"], ["首先开火", "然后炒", "最后装盘"]] * 20
    score = train_bag_of_words(documents)
    assert np.argsort(score(["最后喝", "首先看", "然后走"])).tolist() == [1, 2, 0]


def test_same_seed_gives_the_same_scores(stories):
    one, other = (train_bag_of_words(stories[:50], seed=3)(stories[60]) for _ in range(2))
    assert one.tolist() == other.tolist()
