import gzip
import json
import logging
import os
import sys
import threading

import pytest
from datasets import Dataset, DatasetDict, IterableDataset, arrow_dataset

from sentence_ordering.data import load_documents
from sentence_ordering.data.loading import collect_rows, read_rows

ROWS = [["He ate it.", "Tom bought a cake."], ["a", "b", "c"]]
ROCSTORIES = (
    "storyid,storytitle,sentence1,sentence2,sentence3,sentence4,sentence5\r\n"
    '8bbe,"David, Dieting",David noticed it.,"He said ""no"".",He ran.,NA,1984\r\n'
    '0beb,None,Tom had a temper.,null,"He\nshouted.",Ä,The end.\r\n'
)


def load(path, **options):
    return load_documents({"train": str(path)}, **options)["train"]


def test_embedded_corpus_has_documents_and_disjoint_splits():
    splits = load_documents("bigbench_narratives")
    assert {name: len(split) for name, split in splits.items()} == {"train": 770, "validation": 42}
    texts = [{" ".join(sentences).lower() for sentences in split["sentences"]} for split in splits.values()]
    assert texts[0].isdisjoint(texts[1])
    assert min(len(sentences) for split in splits.values() for sentences in split["sentences"]) >= 2


def write(path, rows):
    """Write documents in the form that the file's suffix says."""
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        Dataset.from_dict({"sentences": rows}).to_parquet(path)
        return
    if name.endswith(".jsonl"):
        text = "".join(json.dumps({"sentences": row}) + "\n" for row in rows)
    elif name.endswith(".json"):
        text = json.dumps([{"sentences": row} for row in rows], indent=2)
    elif name.endswith((".csv", ".tsv")):
        cells = ['"' + json.dumps(row).replace('"', '""') + '"' for row in rows]
        text = "".join(
            f"{i}{',' if '.csv' in name else chr(9)}{cell}\n" for i, cell in enumerate(["sentences", *cells])
        )
    else:
        text = "\n\n\n".join("\n".join(row) for row in rows)
    (gzip.open if path.suffix == ".gz" else open)(path, "wb").write(text.encode())


SUFFIXES = [".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt", "", ".jsonl.gz", ".csv.gz", ".txt.gz"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_are_read_at_once_and_as_streams(suffix, tmp_path):
    write(tmp_path / f"corpus{suffix}", ROWS)
    assert load(tmp_path / f"corpus{suffix}")["sentences"][:] == ROWS
    stream = load(tmp_path / f"corpus{suffix}", streaming=True)
    assert isinstance(stream, IterableDataset)
    assert [row["sentences"] for row in stream] == ROWS


def test_numbered_columns_become_sentences_and_text_stays_text(tmp_path):
    (tmp_path / "ROCStories.csv").write_bytes(ROCSTORIES.encode("utf-8-sig"))
    assert load(tmp_path / "ROCStories.csv")[:] == {
        "storyid": ["8bbe", "0beb"],
        "storytitle": ["David, Dieting", "None"],
        "sentences": [
            ["David noticed it.", 'He said "no".', "He ran.", "NA", "1984"],
            ["Tom had a temper.", "null", "He\nshouted.", "Ä", "The end."],
        ],
    }


def test_numbered_columns_count_and_end_where_they_are_empty(tmp_path):
    rows = [{"Sentence 10": "c", "Sentence 9": "b", "Sentence 2": "a"}, {"Sentence 2": "d", "Sentence 9": "e"}]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert load(tmp_path / "corpus.jsonl", sentences_column="lines")["lines"][:] == [["a", "b", "c"], ["d", "e"]]
    Dataset.from_list([{"sentence1": "a", "sentence2": "b"}]).save_to_disk(tmp_path / "saved")
    for streaming in (False, True):
        saved = load_documents(str(tmp_path / "saved"), streaming=streaming)["train"]
        assert list(saved) == [{"sentences": ["a", "b"]}]


def test_globs_and_lists_of_files_are_one_split_in_their_order(tmp_path):
    for name in ("b.jsonl", "a.jsonl", "c.txt"):
        write(tmp_path / name, [[name, "x"]])
    names = [str(tmp_path / "*.jsonl"), str(tmp_path / "c.txt")]
    for source in (names, {"train": names}):
        assert load_documents(source)["train"]["sentences"][:] == [["a.jsonl", "x"], ["b.jsonl", "x"], ["c.txt", "x"]]
    assert len(load_documents(str(tmp_path / "?.jsonl"))["train"]) == 2


def test_a_file_that_two_names_mean_is_read_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jsonl", "b.jsonl"):
        write(tmp_path / name, [[name, "x"]])
    names = ["b.jsonl", "*.jsonl", str(tmp_path / "a.jsonl")]
    assert load_documents(names)["train"]["sentences"][:] == [["b.jsonl", "x"], ["a.jsonl", "x"]]


PROSE = "Dr. Smith bought a\ncake. He ate it! \n\nThe end. Was it\ngood?\n"


@pytest.mark.parametrize(
    ("options", "documents"),
    [
        ({}, [["Dr. Smith bought a", "cake. He ate it! "], ["The end. Was it", "good?"]]),
        ({"language": "en"}, [["Dr. Smith bought a cake.", "He ate it!"], ["The end.", "Was it good?"]]),
        ({"books": True}, [["Dr. Smith bought a cake. He ate it! ", "The end. Was it good?"]]),
        (
            {"books": True, "language": "en"},
            [["Dr. Smith bought a cake.", "He ate it!", "The end.", "Was it good?"]],
        ),
    ],
)
def test_text_is_read_by_lines_sentences_paragraphs_and_books(options, documents, tmp_path):
    if "language" in options:
        pytest.importorskip("sentencex")
    (tmp_path / "text.txt").write_text(PROSE)
    rows = load(tmp_path / "text.txt", **options)
    assert rows["sentences"][:] == documents
    assert rows.column_names == (["sentences", "source"] if "books" in options else ["sentences"])


def test_missing_sentence_splitter_is_told_with_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentencex", None)
    (tmp_path / "text.txt").write_text(PROSE)
    with pytest.raises(ImportError, match=r"pip install 'sentence-ordering\[text\]'"):
        load(tmp_path / "text.txt", language="en")


@pytest.mark.parametrize("options", [{"language": "en"}, {"books": True}])
@pytest.mark.parametrize("read", [load_documents, lambda *args, **options: next(read_rows(*args, **options))])
def test_options_of_text_files_are_refused_for_a_dataset(read, options, tmp_path):
    Dataset.from_list([{"sentences": ["a", "b"]}]).save_to_disk(tmp_path / "saved")
    with pytest.raises(ValueError, match=f"is a dataset, and no text file, which alone `{[*options][0]}` is for"):
        read(str(tmp_path / "saved"), **options)


def test_fingerprint_is_that_of_the_rows_which_are_never_one_array(monkeypatch):
    def collect(*rows):
        return collect_rows((f"row {index}", {"sentences": row}) for index, row in enumerate(rows))

    monkeypatch.setattr(arrow_dataset, "generate_fingerprint", pytest.fail)  # It joins the pieces of each column.
    one, same, other = collect(["a", "b"], ["c"]), collect(["a", "b"], ["c"]), collect(["a"], ["b", "c"])
    assert one._fingerprint == same._fingerprint != other._fingerprint
    assert other["sentences"][:] == [["a"], ["b", "c"]]


def test_saved_dataset_is_read(tmp_path):
    dataset = Dataset.from_dict({"sentences": [["a", "b"]]})
    dataset.save_to_disk(tmp_path / "one")
    DatasetDict(test=dataset).save_to_disk(tmp_path / "splits")
    assert load_documents(str(tmp_path / "one"))["train"][0] == {"sentences": ["a", "b"]}
    assert load_documents(str(tmp_path / "splits")).keys() == {"test"}


def test_columns_may_be_missing_empty_or_numbers_of_both_kinds(tmp_path):
    rows = [{"sentences": []}, {"sentences": ["a", "b"], "year": 1813, "id": None}, {"sentences": ["c"], "year": 0.5}]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows * 6000))
    loaded = load(tmp_path / "corpus.jsonl")
    assert loaded[-3:] == {"sentences": [[], ["a", "b"], ["c"]], "year": [None, 1813.0, 0.5], "id": [None] * 3}


def test_a_cell_may_hold_a_book(tmp_path):
    book = [f"This is sentence {number} of a long book." for number in range(8000)]
    write(tmp_path / "books.csv", [book])
    assert load(tmp_path / "books.csv")["sentences"][:] == [book]


def test_paths_may_be_path_objects(tmp_path):
    write(tmp_path / "corpus.jsonl", ROWS)
    for source in (tmp_path / "corpus.jsonl", [tmp_path / "corpus.jsonl"], {"train": tmp_path / "corpus.jsonl"}):
        assert load_documents(source)["train"]["sentences"][:] == ROWS


def test_lone_surrogates_become_question_marks_with_one_warning(tmp_path, caplog):
    lines = [r'{"sentences": ["\ud800 a", "\ud83d\ude00 \u00e4"]}', r'{"sentences": ["\udfff", "b"]}']
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines))
    with caplog.at_level(logging.WARNING):
        assert load(tmp_path / "corpus.jsonl")["sentences"][:] == [["? a", "😀 ä"], ["?", "b"]]
    [record] = caplog.records
    assert "corpus.jsonl: halves of characters (lone surrogates) became question marks." in record.getMessage()


MARKED = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", MARKED + b"\r\nOne.\r\nTwo.\r\n"),
        ("a.txt", MARKED + b"One.\nTwo."),
        ("a.jsonl", MARKED + b'\r\n \n{"sentences": ["One.", "Two."]}\n'),
        ("a.json", MARKED + b'\n[\n{"sentences": ["One.", "Two."]}]'),
        ("a.csv", MARKED + b"\r\nsentence1,sentence2\r\nOne.,Two.\r\n"),
        ("a.txt.gz", gzip.compress(MARKED + b"\nOne.\nTwo.\n", mtime=0)),
        ("A.TXT.GZ", gzip.compress(MARKED + b"\nOne.\nTwo.\n", mtime=0)),
    ],
)
def test_a_byte_order_mark_is_no_sentence(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    assert load(tmp_path / name)["sentences"][:] == [["One.", "Two."]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"One.\rTwo.\r\rThree.\rFour.\r"),
        ("a.txt", b"One.\rTwo.\n\nThree.\r\r\nFour.\r\n"),
        ("a.jsonl", b'{"sentences": ["One.", "Two."]}\r\r{"sentences": ["Three.", "Four."]}\r'),
        ("a.csv", b"sentence1,sentence2\rOne.,Two.\rThree.,Four."),
        ("a.json", b'[{"sentences": ["One.", "Two."]},\r{"sentences": ["Three.", "Four."]}]\r'),
    ],
)
def test_lone_carriage_returns_end_lines(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    assert load(tmp_path / name)["sentences"][:] == [["One.", "Two."], ["Three.", "Four."]]


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt", ".jsonl.gz", ".parquet.gz"])
@pytest.mark.parametrize("named", [True, False])
def test_pipes_are_read_whatever_their_name_says(suffix, named, tmp_path):
    if suffix == ".parquet.gz":
        write(tmp_path / "corpus.parquet", ROWS)
        (tmp_path / "corpus.parquet.gz").write_bytes(gzip.compress((tmp_path / "corpus.parquet").read_bytes()))
    else:
        write(tmp_path / f"corpus{suffix}", ROWS)
    content = (tmp_path / f"corpus{suffix}").read_bytes()
    if not named and suffix.endswith(".gz"):
        content = gzip.decompress(content)
    pipe = tmp_path / (f"pipe{suffix}" if named else "pipe")
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[content])
    writer.start()
    assert load(pipe)["sentences"][:] == ROWS
    writer.join()


@pytest.mark.parametrize("header", ["sentence1,sentence_1", "Sentence1,sentence 1", "sentence1,sentence01"])
def test_columns_of_one_number_are_refused_by_name(header, tmp_path):
    (tmp_path / "a.csv").write_text(f"{header},sentence2\na,b,c\n")
    first, second = header.split(",")
    with pytest.raises(ValueError, match=f"a.csv:2: the columns '{first}' and '{second}' have the same number"):
        load(tmp_path / "a.csv")
    Dataset.from_list([{first: "a", second: "b", "sentence2": "c"}]).save_to_disk(tmp_path / "saved")
    with pytest.raises(ValueError, match=f"saved: the columns '{first}' and '{second}' have the same number"):
        load_documents(str(tmp_path / "saved"))


@pytest.mark.parametrize("name", ["absent.jsonl", "absent.csv.gz", "absent/*", "absent.txt"])
def test_missing_file_is_named(name, tmp_path):
    with pytest.raises(FileNotFoundError, match="no file '.*absent"):
        load_documents(str(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jsonl", b'{"sentences": ["a"]}\n\n{"sentences": ["a", \n', r"a.jsonl:3: is not JSON \(.* at column \d+\)"),
        ("a.jsonl", b'{"lines": ["\xff"]}\n', "a.jsonl:1: is not UTF-8"),
        ("a.jsonl", b'["a", "b"]\n["c"]\n', r"a.jsonl:1: expected an object like .* but found \['a', 'b'\]"),
        ("a.jsonl", b'{"sentences": "a b"}\n', "a.jsonl:1: a document is a list of sentences"),
        ("a.jsonl", b'{"sentences": ["a", 3]}\n', "a.jsonl:1: sentence 1 must be a string, but is of type int: 3"),
        (
            "a.jsonl",
            b'{"id": 1}\n{"id": "x"}\n',
            "a.jsonl:2, column 'id': 'x' is of type str, but the rows before it have numbers",
        ),
        ("a.jsonl", b'{"id": [1, "x"]}\n', "a.jsonl:1 to .*a.jsonl:1: "),
        ("a.jsonl", b'{"id": 99999999999999999999, "sentences": ["a"]}\n', "a.jsonl:1: .* too large"),
        ("a.jsonl", b"", "a.jsonl: the file is empty"),
        ("a.txt", b"\n \n", "a.txt: the file is empty"),
        ("a.txt", b"a\nb\n\n\xff\n", "a.txt:4: is not UTF-8"),
        ("a.json", b'[\n{"sentences": ["a"]},\n{oops}]', r"a.json:3: is not JSON \(.* at column 2\)"),
        ("a.json", b'[{"sentences": ["a"]}, 7]', r"a.json, element 1: expected an object .* but found 7"),
        ("a.csv", b"sentence1,sentence2\na,b\nc\n", "a.csv:3: has 1 columns, but the header 2"),
        ("a.csv", b"sentence1,sentence2,sentence3\na,,b\n", "a.csv:2, column 'sentence2': is empty, but a later"),
        ("a.csv", b'sentence1,sentence2\na,"b\n', r"a.csv:2: is no table \(unexpected end of data\)"),
        ("a.csv", b"sentence1,sentence2\na,\xff\n", "a.csv:2: is not UTF-8"),
        ("a.csv", b"id,sentences\n1,a. b.\n", r"a.csv:2, column 'sentences': expected a JSON list .* found 'a. b.'"),
        ("a.tsv", b'sentences\n["a"\n', "a.tsv:2, column 'sentences': expected a JSON list"),
        ("a.parquet", b"PAR1", "a.parquet: is no Parquet file"),
        ("a.txt.gz", b"abc", "a.txt.gz: is no complete gzip file"),
        ("a.txt.gz", gzip.compress(b"abc", mtime=0)[:-1], "a.txt.gz: is no complete gzip file"),
        ("a.txt.gz", gzip.compress(b"abc" * 99, mtime=0)[:20] + b"\xff" * 9, "a.txt.gz: is no complete gzip file"),
        ("a.csv", b"sentence1,sentence1,sentence2\na,b,c\n", "a.csv:1: columns 1 and 2 are both named 'sentence1'"),
        ("a.tsv", b"\n\nid\tx\tid\n", "a.tsv:3: columns 1 and 3 are both named 'id'"),
        ("a.jsonl", b'{"sentences": ["a"], "sentences": ["b"]}\n', "a.jsonl:1: .* the key 'sentences' twice"),
        ("a.json", b'[{"id": 1},\n{"x": {"k": 1, "k": 2}}]', "a.json, element 1: .* the key 'k' twice"),
        ("a.jsonl", b'\n{"x": ' + b"[" * 20000 + b"]" * 20000 + b"}\n", "a.jsonl:2: has lists .* 100 deep"),
        ("a.jsonl", b'{"x": ' + b"[" * 101 + b"]" * 101 + b"}\n", "a.jsonl:1: has lists .* 100 deep"),
        ("a.json", b"[\n" + b"[" * 20000 + b"]" * 20000 + b"]\n", "a.json:2: has lists .* 100 deep"),
        ("a.jsonl", b'{"x": ' + b"9" * 5000 + b"}\n", "a.jsonl:1: is no JSON that can be kept whole .*5000 digits"),
        (
            "a.json",
            b'[{"x": ' + b"9" * 5000 + b"}]\n",
            "a.json, element 0: is no JSON that can be kept whole .*5000 digits",
        ),
        ("a.csv", b"sentences\n[" + b"9" * 5000 + b"]\n", "a.csv:2, column 'sentences': expected a JSON list"),
        ("a.json", b'[{"id": 1}\n {"id": 2}]', "a.json:2: is not JSON .*Expecting ',' delimiter at column 2"),
        ("a.json", b'[{"id": 1}]\n\n]', r"a.json:3: is not JSON \(Extra data at column 1"),
        ("a.json", b'[{"id": 1},', r"a.json:1: is not JSON \(Expecting value"),
        ("a.docx", b"abc", r"a.docx: expected a file that ends in .jsonl, .json, .parquet, .csv, .tsv, .txt"),
    ],
)
def test_every_kind_of_bad_file_is_told_with_its_place(name, content, reason, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises((TypeError, ValueError), match=reason):
        load(tmp_path / name)


def test_language_for_a_file_of_sentences_is_refused(tmp_path):
    write(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(ValueError, match="a.jsonl: a language and books are for text files"):
        load(tmp_path / "a.jsonl", language="en")
