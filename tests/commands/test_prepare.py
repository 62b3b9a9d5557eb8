import json
from datetime import date

import pytest
from datasets import Dataset

from sentence_ordering import commands


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Run the program on files in a folder; return the rows of the splits."""
    monkeypatch.chdir(tmp_path)

    def run(*options):
        commands.main(["prepare", "--output_dir", "out", *options])
        names = ("train", "validation", "test")
        return [[json.loads(line) for line in (tmp_path / "out" / f"{name}.jsonl").open()] for name in names]

    return run


def test_table_becomes_three_splits_with_its_columns(prepare, tmp_path, capsys):
    rows = "".join(f"{i},Ä{i},b,\n" for i in range(10))
    (tmp_path / "stories.csv").write_text(f"id,sentence1,sentence2,sentence3\n{rows}10,alone,,\n", encoding="utf-8")
    splits = prepare("--input", "stories.csv")
    assert [len(split) for split in splits] == [8, 1, 1]
    assert sorted((row["id"], *row["sentences"]) for split in splits for row in split) == [
        (f"{i}", f"Ä{i}", "b") for i in range(10)
    ]
    printed = capsys.readouterr().out
    assert "1 of 11 documents have fewer than 2 sentences: left out." in printed
    assert "train             8 documents        16 sentences  out/train.jsonl" in printed
    assert "Ä" in (tmp_path / "out" / "train.jsonl").read_text(encoding="utf-8")


def test_windows_of_a_book_stay_together(prepare, tmp_path):
    for book in range(6):
        (tmp_path / f"book{book}.txt").write_text("\n\n".join(f"Book {book}, line {n}." for n in range(50)))
    options = ["--books", "--windows", "5", "9", "--held_out", "4", "--validation", "2"]
    splits = prepare("--input", "book*.txt", *options)
    sources = [{row["source"] for row in split} for split in splits]
    assert [len(source) for source in sources] == [2, 2, 2]
    assert len(set.union(*sources)) == 6
    assert {len(row["sentences"]) for split in splits for row in split} <= set(range(5, 10))
    assert sum(len(row["sentences"]) for split in splits for row in split) == 300


def test_named_sources_stay_together(prepare, tmp_path):
    rows = [{"author": f"{i % 5}", "lines": [f"{i}", "b"]} for i in range(50)]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ["--sentences_column", "lines", "--group_column", "author", "--held_out", "2", "--validation", "1"]
    splits = prepare("--input", "corpus.jsonl", *options)
    assert [len({row["author"] for row in split}) for split in splits] == [3, 1, 1]


def test_rows_are_split_like_published_splits(prepare, tmp_path):
    (tmp_path / "corpus.jsonl").write_text('{"sentences": ["same", "text"]}\n' * 100)
    assert [len(split) for split in prepare("--input", "corpus.jsonl", "--split_by_row")] == [80, 10, 10]


def test_the_input_is_not_overwritten(prepare, tmp_path):
    (tmp_path / "out").mkdir()
    text = '{"sentences": ["alone"]}\n' + "".join(f'{{"sentences": ["{i}", "b"]}}\n' for i in range(20))
    (tmp_path / "out" / "train.jsonl").write_text(text)
    with pytest.raises(SystemExit, match=r"out/train.jsonl is part of the input, and would be overwritten"):
        prepare("--input", "out/*.jsonl")
    assert (tmp_path / "out" / "train.jsonl").read_text() == text


def test_other_columns_keep_their_values(prepare, tmp_path):
    rows = [{"score": 0.12345678901234566 + i, "day": date(2020, 1, 1), "sentences": [f"{i}", "b"]} for i in range(10)]
    Dataset.from_list(rows).to_parquet(tmp_path / "corpus.parquet")
    written = [row for split in prepare("--input", "corpus.parquet") for row in split]
    assert sorted(row["score"] for row in written) == [row["score"] for row in rows]
    assert {row["day"] for row in written} == {"2020-01-01"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--input", "absent.csv"], "There is no file 'absent.csv'"),
        (["--input", "corpus.jsonl", "--windows", "5"], r"least and the greatest .* got \[5\]"),
        (
            ["--input", "corpus.jsonl", "--windows", "2", "5", "--split_by_row"],
            "windows of one book into several splits",
        ),
        (["--input", "corpus.jsonl", "--group_column", "book"], "no column 'book', only .'sentences'."),
        (["--input", "corpus.jsonl", "--sentences_column", "x"], "no column 'x', only .'sentences'."),
        (["--input", "corpus.jsonl"], "0.2 of 1 sources cannot be taken"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(options, message, prepare, tmp_path):
    (tmp_path / "corpus.jsonl").write_text('{"sentences": ["same", "text"]}\n' * 3)
    with pytest.raises(SystemExit, match=message):
        prepare(*options)
