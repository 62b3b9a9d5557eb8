import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from sentence_ordering.data import cut_windows, split_by_group, split_by_row
from sentence_ordering.data.splitting import normalize_text, source_key


def test_no_book_stands_in_two_splits():
    books = Dataset.from_dict(
        {"book": [f"{i}" for i in range(10)], "sentences": [[f"{i} {n}." for n in range(60)] for i in range(10)]}
    )
    splits = split_by_group(cut_windows(books), "book", held_out=0.4)
    sources = [set(split["book"]) for split in splits.values()]
    assert [len(source) for source in sources] == [6, 2, 2]
    assert len(set.union(*sources)) == 10
    assert sum(len(sentences) for split in splits.values() for sentences in split["sentences"]) == 600


def test_documents_without_a_source_are_no_group():
    texts = [[f"Sentence {i}.", "End."] for i in range(40)]
    for books in ([None] * 40, [""] * 40, [None, "", "  ", "\t"] * 10, [float("nan")] * 40):
        splits = split_by_group(Dataset.from_dict({"sentences": texts, "book": books}), "book")
        assert {name: len(split) for name, split in splits.items()} == {"train": 32, "validation": 4, "test": 4}


@pytest.mark.parametrize(
    ("sources", "key"),
    [
        ([3, 3.0, "3", " 3\n"], "3"),
        (["Bront\u00eb", "Bronte\u0308 "], "Brontë"),
        ([{"a": 1, "b": [2]}, {"b": [2], "a": 1}], '{"a": 1, "b": [2]}'),
        ([None, float("nan"), "", " \t"], None),
        ([2.5, "2.5"], "2.5"),
    ],
)
def test_a_source_is_one_whichever_way_it_is_written(sources, key):
    assert [source_key(source) for source in sources] == [key] * len(sources)


def test_sources_that_differ_stay_apart():
    assert len({source_key(source) for source in (1, 2, 1.5, "x", "X", True, [1], {"x": 1})}) == 8


def test_near_duplicates_never_cross_splits():
    variants = [
        ["Tom ate.", "He slept."],
        ["tom  ATE", "He slept!"],
        ["“Tom ate”, he slept."],
        ["Tom ate. He", "slept"],
    ]
    rows = [variant for variant in variants for _ in range(5)] + [[f"{i}", "b"] for i in range(30)]
    for seed in range(20):
        splits = split_by_group(Dataset.from_dict({"sentences": rows}), held_out=0.5, seed=seed)
        having = [name for name, split in splits.items() if any(row in variants for row in split["sentences"])]
        assert len(having) == 1
        assert sum(map(len, splits.values())) == len(rows)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abcdefgh")), min_size=12, max_size=40), st.integers(0, 99)
)
def test_neither_source_nor_text_crosses_splits_for_any_corpus(rows, seed):
    # Three documents of their own make the split possible, whatever the others share.
    sources, texts = zip(*rows, *((100 + i, f"own {i}") for i in range(3)), strict=True)
    corpus = Dataset.from_dict({"source": sources, "sentences": [[text, "."] for text in texts]})
    splits = split_by_group(corpus, "source", held_out=2, validation=1, seed=seed)
    for column in ("source", "sentences"):
        seen = [{str(value) for value in split[column]} for split in splits.values()]
        assert sum(map(len, seen)) == len(set.union(*seen))


def test_the_tutorials_split_has_its_sizes():
    stories = Dataset.from_dict({"row": range(52665)})
    splits = split_by_row(stories, held_out=0.2, validation=0.3)
    assert {name: len(split) for name, split in splits.items()} == {"train": 42132, "validation": 3160, "test": 7373}
    # As github.com/LennartKeller/trf_training_tut makes it, where "train" of the second split is the test.
    first = stories.train_test_split(test_size=0.2, seed=42)
    second = first["test"].train_test_split(test_size=0.3, seed=42)
    assert splits["test"]["row"][:] == second["train"]["row"][:]


@pytest.mark.parametrize("split", [split_by_group, split_by_row])
@pytest.mark.parametrize("sizes", [{"held_out": 2.9}, {"validation": 1.5}, {"held_out": 0}, {"validation": -0.5}])
def test_sizes_that_are_neither_shares_nor_numbers_are_refused(sizes, split):
    corpus = Dataset.from_dict({"sentences": [[f"{i}", "b"] for i in range(20)]})
    [name] = sizes
    with pytest.raises(ValueError, match=f"^{name} (must be a share or a number above 0|is a number of sources)"):
        split(corpus, **sizes)


def test_sizes_from_one_on_are_counts():
    both_years = Dataset.from_dict({"row": range(98162)})
    splits = split_by_row(both_years, held_out=19633.0, validation=9816)
    assert [len(split) for split in splits.values()] == [78529, 9816, 9817]


def test_too_few_sources_are_refused_with_their_number():
    corpus = Dataset.from_dict({"sentences": [["A b.", "C."], ["a B", "c"], ["A: b. C"]]})
    with pytest.raises(ValueError, match=r"0.2 of 1 sources cannot be taken"):
        split_by_group(corpus)


def test_text_is_compared_by_letters_and_digits():
    assert normalize_text(["Tom ate ", "- 2 ﬁgs_!"]) == normalize_text(["TOM", "ate 2 figs"]) == "tomate2figs"


def test_texts_without_letters_and_digits_are_not_all_one():
    assert normalize_text(["🐟", "🍽"]) == "🐟🍽"
