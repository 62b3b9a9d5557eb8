"""Corpora drawn from many kinds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentence_ordering.data.mixture import Mixture, join_windows, mix_kinds


def documents_of(kind, count):
    return [{"id": f"{kind}:{i}", "sentences": [f"{kind} {i} a", f"{kind} {i} b"]} for i in range(count)]


def test_each_kind_gives_as_many_documents_as_are_asked_for():
    kinds = {"news": documents_of("news", 5), "tales": documents_of("tales", 9), "unused": documents_of("unused", 2)}
    rows = mix_kinds(kinds, Mixture({"news": 3, "tales": 2}, passes=2))
    assert sorted(row["kind"] for row in rows) == ["news"] * 6 + ["tales"] * 4


def test_no_document_is_drawn_twice_before_all_were_drawn():
    rows = mix_kinds({"news": documents_of("news", 5)}, Mixture({"news": 7}))
    drawn = [row["sentences"][0] for row in rows]
    assert len(set(drawn)) == 5
    assert max(map(drawn.count, drawn)) == 2


def test_the_seed_decides():
    kinds = {"news": documents_of("news", 30)}
    one, same, other = (mix_kinds(kinds, Mixture({"news": 20}, seed=seed)) for seed in (1, 1, 2))
    assert one == same != other


def test_a_missing_kind_is_named():
    with pytest.raises(ValueError, match="no documents of the kind tales, only of news"):
        mix_kinds({"news": documents_of("news", 1)}, Mixture({"news": 1, "tales": 1}))


def test_windows_are_joined_in_their_order_where_at_most_one_is_missing():
    numbers = [4, 0, 2, 7, 8]
    documents = [{"id": f"emma:1#{n}", "sentences": [str(n)]} for n in numbers] + [{"id": "alone", "sentences": ["x"]}]
    assert join_windows(documents) == [["0", "2", "4"], ["7", "8"]]


@given(
    counts=st.lists(st.integers(2, 9), min_size=2, max_size=9), seed=st.integers(0, 99), long=st.sampled_from([0, 1])
)
def test_windows_drawn_anew_are_pieces_of_the_joined_text(counts, seed, long):
    documents = [{"id": f"emma#{n}", "sentences": [f"{n}.{i}" for i in range(count)]} for n, count in enumerate(counts)]
    [text] = join_windows(documents)
    mixture = Mixture({"emma": 5}, joined=1.0, long=long, lengths=(2, 4), long_lengths=(6, 8), seed=seed)
    for row in mix_kinds({"emma": documents}, mixture):
        start = text.index(row["sentences"][0])
        assert row["sentences"] == text[start : start + len(row["sentences"])]
        least, most = (6, 8) if long else (2, 4)
        assert min(least, len(text)) <= len(row["sentences"]) <= most
