import json
import os
import subprocess
import threading
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
        (
            ["--input", "corpus.jsonl", "--group_column", "book", "--split_by_row"],
            "rows of one 'book' into several splits",
        ),
        (["--input", "corpus.jsonl", "--group_column", "book"], "no column 'book', only .'sentences'."),
        (["--input", "corpus.jsonl", "--sentences_column", "x"], "no column 'x', only .'sentences'."),
        (["--input", "corpus.jsonl"], "0.2 of 1 sources cannot be taken"),
        (["--input", "corpus.jsonl", "--windows", "3", "5"], "None of 3 documents has 3 sentences or more"),
        (["--input", "corpus.jsonl", "--output_dir", ""], "--output_dir is empty"),
        (["--input", "corpus.jsonl", "--output_dir", "corpus.jsonl"], "File exists: 'corpus.jsonl'"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(options, message, prepare, tmp_path):
    text = "" if "corpus.jsonl" not in options[2:] else "".join(f'{{"sentences": ["{i}", "text"]}}\n' for i in range(9))
    (tmp_path / "corpus.jsonl").write_text(text or '{"sentences": ["same", "text"]}\n' * 3)
    with pytest.raises(SystemExit, match=message):
        prepare(*options)


@pytest.fixture
def run_program(python):
    """Run the program in a process of its own."""

    def run_program(*options, **arguments):
        code = "from sentence_ordering.commands import main; main()"
        return subprocess.run([python, "-c", code, "prepare", *options], text=True, stderr=subprocess.PIPE, **arguments)

    return run_program


@pytest.fixture
def stories(tmp_path):
    path = tmp_path / "stories.jsonl"
    path.write_text("".join(f'{{"sentences": ["Mia fed {i} goats.", "Then she slept."]}}\n' for i in range(10)))
    return path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--held_out", "inf"], "--held_out must be a share or a number above 0, but is inf"),
        (["--validation", "nan"], "--validation must be a share or a number above 0, but is nan"),
        (["--seed", "-1"], "--seed must be at least 0, but is -1"),
        (["--seed", str(2**32)], "--seed must be below 2\\*\\*32, but is 4294967296"),
        (["--held_out", "2.9"], "--held_out is a number of sources from 1 on, and must be whole: 2.9"),
        (["--windows", "20", "5"], "Windows of 20 to 5 sentences: need 2 <= minimum <= maximum"),
        (["--windows", "1", "5"], "Windows of 1 to 5 sentences: need 2 <= minimum <= maximum"),
    ],
)
def test_sizes_that_cannot_be_are_refused(options, message, prepare, stories):
    with pytest.raises(SystemExit, match=message):
        prepare("--input", "stories.jsonl", *options)


def test_other_columns_come_out_as_they_went_in(prepare, tmp_path):
    metadata = [{"page": 1}, {"url": "x", "n": [1, "two", None]}, None, 7, "seven", [], 10**30, 1.0, "\ud800", {}]
    rows = [{"meta": value, "sentences": [f"{i}", "b"], "last": i} for i, value in enumerate(metadata)]
    del rows[3]["last"]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    written = [row for split in prepare("--input", "corpus.jsonl") for row in split]
    assert sorted(map(json.dumps, written)) == sorted(map(json.dumps, rows))


def test_windows_of_a_book_stay_together_whatever_its_source(prepare, tmp_path):
    books = [[f"Book {book} says thing number {i}." for i in range(60)] for book in range(12)]
    rows = [{"sentences": book, "source": [None, "", f"s{n}"][n % 3]} for n, book in enumerate(books)]
    rows += [{"sentences": [s.upper() for s in book], "source": f"copy {n}"} for n, book in enumerate(books)]
    (tmp_path / "books.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    splits = prepare("--input", "books.jsonl", "--windows", "5", "10", "--group_column", "source")
    assert sum(len(row["sentences"]) for split in splits for row in split) == 2 * 12 * 60
    texts = [{sentence.lower() for row in split for sentence in row["sentences"]} for split in splits]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 12 * 60
    for split in splits:
        for row in split:
            whole = rows[row["document"]]
            assert row["source"] == whole["source"]
            assert "".join(row["sentences"]) in "".join(whole["sentences"])


def test_documents_without_a_source_are_spread(prepare, tmp_path):
    rows = "".join(f"Number {i} begins.,It ends.,{f's{i}' if i < 10 else ''}\n" for i in range(100))
    (tmp_path / "stories.csv").write_text("sentence1,sentence2,source\n" + rows)
    splits = prepare("--input", "stories.csv", "--group_column", "source")
    assert [len(split) for split in splits] == [80, 10, 10]


def test_sources_may_be_lists_and_objects(prepare, tmp_path):
    rows = [{"sentences": [f"{i}", "b"], "from": {"book": i // 10, "pages": [1]}} for i in range(50)]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    splits = prepare("--input", "corpus.jsonl", "--group_column", "from", "--held_out", "2", "--validation", "1")
    assert [len({row["from"]["book"] for row in split}) for split in splits] == [3, 1, 1]


def test_a_source_is_one_in_all_files_however_they_write_it(prepare, tmp_path):
    for name, book in {"a.jsonl": "{}", "b.jsonl": "{}.0", "c.jsonl": '"{}"'}.items():
        rows = (f'{{"sentences": ["{name} {i}", "b"], "book": {book.format(i)}}}\n' for i in range(10))
        (tmp_path / name).write_text("".join(rows))
    splits = prepare("--input", "a.jsonl", "b.jsonl", "c.jsonl", "--group_column", "book")
    assert [len(split) for split in splits] == [24, 3, 3]
    books = [{float(row["book"]) for row in split} for split in splits]
    assert sum(map(len, books)) == len(set.union(*books)) == 10


def test_all_is_written_before_a_reader_that_left_is_told(stories, tmp_path, run_program):
    read, write = os.pipe()
    os.close(read)
    run = run_program("--input", str(stories), "--output_dir", str(tmp_path / "out"), stdout=write)
    os.close(write)
    assert (run.returncode, "Traceback" in run.stderr) == (0, False)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "test.jsonl",
        "train.jsonl",
        "validation.jsonl",
    ]


def test_a_full_standard_output_costs_no_split(stories, tmp_path, run_program):
    with open("/dev/full", "w") as full:
        run = run_program("--input", str(stories), "--output_dir", str(tmp_path / "out"), stdout=full)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == "Cannot write to standard output: No space left on device."
    assert "Traceback" not in run.stderr
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_failing_write_leaves_the_splits_of_before(prepare, stories, tmp_path, monkeypatch):
    prepare("--input", "stories.jsonl")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    written = []

    def fail(row, args):
        written.append(row)
        if len(written) == 9:
            raise OSError(28, "No space left on device")
        return {}

    monkeypatch.setattr("sentence_ordering.commands.prepare.restore_row", fail)
    with pytest.raises(SystemExit, match="No space left on device"):
        commands.main(["prepare", "--output_dir", "out", "--input", "stories.jsonl"])
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_pipes_are_read(prepare, tmp_path, stories):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(stories.read_bytes()))
    writer.start()
    assert [len(split) for split in prepare("--input", "pipe")] == [8, 1, 1]
    writer.join()
