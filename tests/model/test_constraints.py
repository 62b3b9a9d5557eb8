import doctest
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentence_ordering.model import constrained_order, constrained_search, constraints
from sentence_ordering.model.constrained_order import best_order
from sentence_ordering.model.constraints import Constraints, read_constraints


def value_of(scores, order):
    return scores[list(order)] @ np.arange(len(scores))


def best_by_trying_all(scores, constraints):
    """The largest value of all orders that keep constraints; `None` if none does."""
    orders = (np.array(order, dtype=int) for order in permutations(range(len(scores))))
    return max((value_of(scores, order) for order in orders if constraints.hold_in(order)), default=None)


@st.composite
def problems(draw, max_count=6, fixed=True, blocks=True):
    count = draw(st.integers(1, max_count))
    scores = np.array(draw(st.lists(st.integers(-4, 4), min_size=count, max_size=count)), dtype=np.float64)
    sentence = st.integers(0, count - 1)
    lists = st.lists(sentence, min_size=2, max_size=4, unique=True) if count > 1 else st.nothing()
    chains = draw(st.lists(lists, max_size=3)) if count > 1 else []
    places = draw(st.dictionaries(sentence, sentence, max_size=2)) if fixed else {}
    shuffled = draw(st.permutations(range(count)))
    cuts = sorted(draw(st.sets(sentence, max_size=2)))
    together = [shuffled[:cut] for cut in cuts[:1]] + [shuffled[a:b] for a, b in zip(cuts, cuts[1:], strict=False)]
    value = {"fixed": {str(a): b for a, b in places.items()}, "chains": chains, "blocks": together if blocks else None}
    return scores, read_constraints(value, count)


def check_best(scores, constraints):
    expected = best_by_trying_all(scores, constraints)
    if expected is None:
        with pytest.raises(ValueError, match="No order can keep all these constraints"):
            best_order(scores, constraints)
    else:
        order = best_order(scores, constraints)
        assert sorted(order) == list(range(len(scores)))
        assert constraints.hold_in(order)
        assert value_of(scores, order) == pytest.approx(expected)


@pytest.mark.parametrize("module", [constraints, constrained_order, constrained_search])
def test_examples(module):
    assert doctest.testmod(module).failed == 0


def test_an_order_that_is_found_only_without_regard_to_scores_is_better_than_none(monkeypatch):
    find_order = constrained_order._find_order

    def miss(scores, constraints):
        return (None, False) if scores.any() else find_order(scores, constraints)

    monkeypatch.setattr(constrained_order, "_find_order", miss)
    assert best_order(np.array([2.0, 1.0, 0.0]), Constraints(fixed=((1, 0),))).tolist() == [1, 0, 2]


@settings(deadline=None)
@given(problem=problems())
def test_order_is_the_best_of_all_that_keep_the_constraints(problem):
    check_best(*problem)


@settings(deadline=None)
@given(problem=problems())
def test_search_alone_is_exact(problem):
    scores, constraints = problem
    expected = best_by_trying_all(scores, constraints)
    order, exhaustive = constrained_search.search_order(scores, constraints)
    assert exhaustive
    assert (order is None) == (expected is None)
    if order is not None:
        assert constraints.hold_in(order)
        assert value_of(scores, order) == pytest.approx(expected)


@settings(deadline=None)
@given(problem=problems(blocks=False))
def test_narrowest_search_without_blocks_finds_an_order_if_there_is_one(problem):
    scores, constraints = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constrained_search, "WIDTH", 1)
        order, exhaustive = constrained_search.search_order(scores, constraints)
    if order is None:
        assert exhaustive
        assert best_by_trying_all(scores, constraints) is None
    else:
        assert constraints.hold_in(order)


def test_narrowest_search_leaves_room_for_what_has_to_come_early(monkeypatch):
    monkeypatch.setattr(constrained_search, "WIDTH", 1)
    constraints = read_constraints({"fixed": {"0": 1}, "before": [[1, 0]]}, 3)
    order, exhaustive = constrained_search.search_order(np.array([0.0, 5.0, -5.0]), constraints)
    assert order.tolist() == [1, 0, 2]
    assert exhaustive


@settings(deadline=None)
@given(problem=problems(), seed=st.integers(0, 2**32 - 1))
def test_constraints_of_a_longer_document_hold(problem, seed):
    _, constraints = problem
    scores = np.random.default_rng(seed).normal(size=40)
    try:
        order = best_order(scores, constraints)
    except ValueError as error:
        assert "No order can keep all these constraints" in str(error)
    else:
        assert sorted(order) == list(range(40))
        assert constraints.hold_in(order)


@settings(deadline=None)
@given(scores=st.lists(st.integers(0, 3), max_size=20))
def test_without_constraints_scores_are_sorted(scores):
    order = best_order(np.array(scores, dtype=np.float64), read_constraints(None, len(scores)))
    assert order.tolist() == sorted(range(len(scores)), key=scores.__getitem__)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"fixed": {"30": 2, "4": 77}}, id="fixed places"),
        pytest.param({"chains": [range(0, 200, 2), range(199, 0, -2)]}, id="chains"),
        pytest.param({"before": [[100, i] for i in range(100)] + [[i, i + 101] for i in range(99)]}, id="tree"),
        pytest.param({"before": [[i + 101, i] for i in range(99)] + [[i, 100] for i in range(100)]}, id="tree upwards"),
        pytest.param({"blocks": [range(100), range(100, 200)], "chains": [range(100)]}, id="blocks"),
        pytest.param({"blocks": [range(50), range(50, 99)], "first": 99, "last": 100}, id="blocks between two"),
    ],
)
def test_what_is_exact_takes_no_search(value, monkeypatch):
    monkeypatch.setattr(constrained_order, "search_order", None)
    value = {key: [list(item) for item in item] if key in ("chains", "blocks") else item for key, item in value.items()}
    constraints = read_constraints(value, 200)
    assert constraints.hold_in(best_order(np.random.default_rng(0).normal(size=200), constraints))


@settings(deadline=None)
@given(problem=problems(fixed=False, blocks=False))
def test_trees_are_merged_exactly(problem):
    scores, constraints = problem
    merged = constrained_order._merge(scores, constraints)
    if merged is not None:
        assert constraints.hold_in(merged)
        assert value_of(scores, merged) == pytest.approx(best_by_trying_all(scores, constraints))


@settings(deadline=None)
@given(problem=problems())
def test_no_constraint_that_is_named_could_be_left_out(problem):
    scores, constraints = problem
    if best_by_trying_all(scores, constraints) is not None:
        return
    named = constrained_order._reduce(constraints, len(scores))
    assert best_by_trying_all(scores, named) is None
    parts = named.split()
    for index in range(len(parts)):
        others = Constraints.join(parts[:index] + parts[index + 1 :])
        assert best_by_trying_all(scores, others) is not None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"first": 0, "last": 0}, "sentence 0 at place 0; sentence 0 at place 3."),
        ({"first": 0, "fixed": {"2": 0}, "chains": [[3, 1]]}, "sentence 0 at place 0; sentence 2 at place 0."),
        (
            {"before": [[0, 1], [1, 2], [2, 0], [3, 0]]},
            "sentence 0 before 1; sentence 1 before 2; sentence 2 before 0.",
        ),
        ({"chains": [[0, 1, 2], [3, 2, 1]]}, "sentence 0 before 1 before 2; sentence 3 before 2 before 1."),
        ({"last": 2, "before": [[2, 1]], "blocks": [[0, 3]]}, "sentence 2 at place 3; sentence 2 before 1."),
        (
            {"blocks": [[0, 1]], "fixed": {"0": 0, "1": 2}, "last": 3},
            "sentence 0 at place 0; sentence 1 at place 2; sentences 0, 1 together.",
        ),
        ({"blocks": [[0, 1, 2]], "fixed": {"3": 1}}, "sentence 3 at place 1; sentences 0, 1, 2 together."),
        ({"blocks": [[0, 1]], "chains": [[0, 2, 1]]}, "sentence 0 before 2 before 1; sentences 0, 1 together."),
    ],
)
def test_constraints_that_contradict_each_other_are_named(value, message):
    with pytest.raises(ValueError) as error:
        best_order(np.arange(4.0), read_constraints(value, 4))
    assert str(error.value) == f"No order can keep all these constraints: {message}"


def test_search_that_gives_up_does_not_claim_that_there_is_no_order(monkeypatch):
    monkeypatch.setattr(constrained_search, "WIDTH", 1)
    value = {"blocks": [[0, 1], [2, 3, 4]], "fixed": {"5": 3, "6": 6}}
    with pytest.raises(ValueError, match="No order was found that keeps all constraints, but there may be one"):
        best_order(np.array([0.0, 0, 1, 1, 1, 2, 2]), read_constraints(value, 7))
    monkeypatch.undo()
    order = best_order(np.array([0.0, 0, 1, 1, 1, 2, 2]), read_constraints(value, 7))
    assert order.tolist() == [2, 3, 4, 5, 0, 1, 6]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[0, 1]], 'Constraints are an object like {"first": 0, "before": [[1, 2]]}, but these are [[0, 1]]'),
        ({"chain": [[0, 1]]}, "There are no constraints 'chain', only 'first', 'last', 'fixed', 'before', 'chains'"),
        ({"first": 3}, '"first" names 3, but the sentences and places of this document are the numbers from 0 to 2'),
        ({"last": -1}, '"last" names -1, but'),
        ({"first": True}, '"first" names True, but'),
        ({"first": "0"}, "\"first\" names '0', but"),
        ({"fixed": {"1": 3}}, '"fixed" names 3, but'),
        ({"fixed": {"one": 1}}, "\"fixed\" names 'one', but"),
        ({"fixed": [[0, 1]]}, '"fixed" is an object like {"2": 0}, sentence 2 at place 0, but this is [[0, 1]]'),
        ({"before": [0, 1]}, '"before" is a list of lists of sentences like [[1, 2]], but this is [0, 1]'),
        ({"chains": "01"}, '"chains" is a list of lists of sentences'),
        ({"blocks": 3}, '"blocks" is a list of lists of sentences'),
        ({"before": [[0, 1, 2]]}, '"before" has pairs of an earlier and a later sentence, but not [0, 1, 2]; use "ch'),
        ({"before": [[0]]}, '"before" has pairs'),
        ({"chains": [[0, 1.5]]}, '"chains" names 1.5, but'),
        ({"chains": [[0, 1, 0]]}, '"chains" names a sentence twice in [0, 1, 0]'),
        ({"blocks": [[0, 1], [1, 2]]}, 'Sentence 1 is in two "blocks", [0, 1] and [1, 2]. Join them'),
    ],
)
def test_wrong_constraints_are_told(value, message):
    with pytest.raises(ValueError) as error:
        read_constraints(value, 3)
    assert message in str(error.value)


def test_constraints_of_an_empty_document_name_no_sentence():
    assert read_constraints({"blocks": [[]], "fixed": {}}, 0) == Constraints()
    with pytest.raises(ValueError, match='"first" names 0, but the document has no sentences'):
        read_constraints({"first": 0}, 0)


def test_nothing_stands_for_no_constraint():
    value = {"first": None, "fixed": {"0": None, "1": 2}, "before": None, "chains": [[2], []], "blocks": [[0]]}
    assert read_constraints(value, 3) == Constraints(fixed=((1, 2),))


def test_all_forms_of_constraints_are_read():
    value = {
        "first": 4,
        "last": 0,
        "fixed": {2: 1, "4": 0},
        "before": [(1, 3)],
        "chains": [[1, 2, 3]],
        "blocks": [[3, 1]],
    }
    assert read_constraints(value, 5) == Constraints(
        fixed=((4, 0), (0, 4), (2, 1)), chains=((1, 3), (1, 2, 3)), blocks=((3, 1),)
    )


def test_arrays_are_lists():
    value = {"before": np.array([[1, 0]]), "blocks": [np.array([0, 1])]}
    assert read_constraints(value, 2) == Constraints(chains=((1, 0),), blocks=((0, 1),))
