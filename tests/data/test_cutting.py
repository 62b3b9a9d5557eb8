import logging

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from sentence_ordering.data import cut_windows
from sentence_ordering.data.cutting import draw_lengths


def books(*lengths):
    return Dataset.from_dict(
        {
            "title": [f"book {i}" for i in range(len(lengths))],
            "sentences": [[f"{i}" for i in range(n)] for n in lengths],
        }
    )


def test_windows_follow_each_other_without_gap_or_overlap():
    windows = cut_windows(books(200, 3, 57))
    for document, length in ((0, 200), (2, 57)):
        rows = [row for row in windows if row["document"] == document]
        assert [sentence for row in rows for sentence in row["sentences"]] == [f"{i}" for i in range(length)]
        assert {row["title"] for row in rows} == {f"book {document}"}
    lengths = {len(sentences) for sentences in windows["sentences"]}
    assert min(lengths) >= 5 and max(lengths) <= 20 and len(lengths) > 5


def test_lengths_depend_on_the_seed():
    cut = [cut_windows(books(300), seed=seed)["sentences"][:] for seed in (1, 1, 2)]
    assert cut[0] == cut[1] != cut[2]


def test_sentences_without_a_window_are_counted(caplog):
    with caplog.at_level(logging.WARNING):
        assert cut_windows(books(4, 8), 5, 6)["sentences"][:] == [["0", "1", "2", "3", "4", "5"]]
    assert [r.getMessage() for r in caplog.records] == ["6 of 12 sentences did not make a window of 5 or more."]


@given(st.integers(0, 200), st.integers(2, 9), st.integers(0, 12), st.integers(0, 2**32))
def test_lengths_use_up_a_document_where_that_is_possible(count, shortest, more, seed):
    longest = shortest + more
    lengths = draw_lengths(count, shortest, longest, np.random.default_rng(seed))
    assert all(shortest <= length <= longest for length in lengths)
    assert 0 <= count - sum(lengths) < shortest
    if any(windows * shortest <= count <= windows * longest for windows in range(count)):
        assert sum(lengths) == count


@pytest.mark.parametrize("limits", [(1, 5), (6, 5)])
def test_impossible_lengths_are_refused(limits):
    with pytest.raises(ValueError, match="need 2 <= minimum <= maximum"):
        cut_windows(books(9), *limits)


def test_a_column_that_would_be_overwritten_is_refused():
    with pytest.raises(ValueError, match="There is a column 'document' already"):
        cut_windows(cut_windows(books(30)))
