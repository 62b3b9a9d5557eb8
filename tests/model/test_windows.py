from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import answer

from sentence_ordering.model.encoding import sentence_lengths
from sentence_ordering.model.windows import (
    ROW_SENTENCES,
    needs_windows,
    plan_windows,
    shorten_long_sentences,
)

LIMIT = 64
LONGEST = LIMIT // ROW_SENTENCES


def run(lengths, score, *, limit=LIMIT, num_shuffles=1, seed=0):
    """Run a plan whose rows get the scores `score(row)`; return all rows, and the order."""
    plan = plan_windows(np.array(lengths), limit, num_shuffles, np.random.default_rng(seed))
    rows, places = answer(plan, score)
    assert len(set(places)) == len(lengths)
    return rows, np.argsort(places).tolist()


def noise(seed=0):
    rng = np.random.default_rng(seed)
    return lambda row: rng.normal(size=len(row))


@settings(deadline=None, max_examples=60)
@given(count=st.integers(2, 150), longest=st.integers(1, LONGEST), seed=st.integers(0, 9))
def test_whatever_the_scores_no_sentence_is_lost_and_neighbours_were_compared(count, longest, seed):
    lengths = np.random.default_rng(seed).integers(1, longest, count, endpoint=True).tolist()
    rows, order = run(lengths, noise(seed), seed=seed)
    assert sorted(order) == list(range(len(lengths)))
    for row in rows:
        assert len(set(row)) == len(row)
        assert sum(lengths[index] for index in row) <= LIMIT
        assert len(row) <= 16
    compared = {frozenset(pair) for row in rows for pair in combinations(row.tolist(), 2)}
    assert all(frozenset(pair) in compared for pair in pairwise(order))


@pytest.mark.parametrize("limit", [2, 3, 5])
def test_rows_of_two_sentences_suffice(limit):
    assert sorted(run([1] * 9, noise(), limit=limit)[1]) == list(range(9))


def test_rows_of_one_sentence_are_refused():
    with pytest.raises(ValueError, match="No two sentences can be compared in rows of 1 tokens. Raise `max_tokens`"):
        run([1, 1], noise(), limit=1)


@pytest.mark.parametrize(("num_shuffles", "displacement"), [(1, 8), (4, 3)])
def test_right_scores_give_about_the_right_order(num_shuffles, displacement):
    places = np.random.default_rng(1).permutation(300)
    _, order = run([8] * 300, lambda row: places[row], num_shuffles=num_shuffles)
    assert np.abs(places[order] - np.arange(300)).mean() < displacement


def test_same_seed_gives_the_same_windows_and_order():
    runs = [run([5] * 60, lambda row: row % 7, seed=seed) for seed in (3, 3, 4)]
    windows = [[row.tolist() for row in rows] for rows, _ in runs]
    assert runs[0][1] == runs[1][1]
    assert windows[0] == windows[1] != windows[2]


def test_number_of_tokens_is_linear_in_the_number_of_sentences():
    tokens = [8 * sum(map(len, run([8] * count, noise())[0])) for count in (100, 200, 400, 1000)]
    per_sentence = np.array(tokens) / [100, 200, 400, 1000]
    assert per_sentence.max() / per_sentence.min() < 1.1


def test_looks_multiply_the_windows():
    once, thrice = (len(run([8] * 100, noise(), num_shuffles=k)[0]) for k in (1, 3))
    assert thrice == pytest.approx(3 * once, rel=0.1)


@pytest.mark.parametrize("step", [0.25, 1.0])
def test_gaps_are_those_that_all_windows_have_on_average(step):
    """The scorer knows ranks within its window, as a model does that reads no more."""
    plan = plan_windows(np.full(60, 8), LIMIT, 1, np.random.default_rng(0))
    rows, scores = answer(plan, lambda row: 7 + step * np.argsort(np.argsort(row)))
    places = np.argsort(np.argsort(scores))
    x = np.concatenate([places[row] - places[row].mean() for row in rows])
    y = np.concatenate([step * (np.argsort(np.argsort(row)) - (len(row) - 1) / 2) for row in rows])
    assert np.diff(np.sort(scores)) == pytest.approx(np.polyfit(x, y, 1)[0])


def test_windows_of_neighbours_mend_the_coarse_order():
    """Random windows tell quarters only; which of two neighbours comes first is told by windows of neighbours."""
    _, order = run([8] * 200, lambda row: row if np.ptp(row) < 100 else row // 50)
    assert (np.diff(order) > 0).mean() > 0.65


def test_windows_of_neighbours_do_not_show_the_coarse_order():
    """A model that likes the order it is given would only confirm it."""
    rows, _ = run([2] * 400, lambda row: row)
    near = [row for row in rows if np.ptp(row) < 100]
    ascending = [one < other for row in near for one, other in combinations(row, 2)]
    assert len(near) == 49
    assert 0.45 < np.mean(ascending) < 0.55


def test_scores_keep_the_order_where_windows_have_no_gaps():
    _, scores = answer(plan_windows(np.full(40, 8), LIMIT, 1, np.random.default_rng(0)), lambda row: 0.0 * row)
    assert np.unique(np.diff(np.sort(scores)).round(9)).tolist() == [1e-6]


def test_documents_need_windows_if_shortening_would_leave_less_than_their_share_of_a_row():
    long, short = [0] * 40, [0] * (LONGEST - 1)
    assert not needs_windows([long] * 9, None)
    assert not needs_windows([long] * ROW_SENTENCES, LIMIT)
    assert not needs_windows([short] * ROW_SENTENCES, LIMIT)
    assert needs_windows([long] * (ROW_SENTENCES + 1), LIMIT)


def test_long_sentences_are_shortened_to_their_share_of_a_row():
    kept, cut = shorten_long_sentences([[1] * 40, [2], []], LIMIT)
    assert (kept, cut) == ([[1] * (LONGEST - 1), [2], []], 41 - LONGEST)
    assert sentence_lengths(kept).tolist() == [LONGEST, 2, 1]
