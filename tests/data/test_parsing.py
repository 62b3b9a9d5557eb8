import io
import json
import re
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentence_ordering.data import json_array, read_documents
from sentence_ordering.data.parsing import read_lines, read_pieces


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Read documents from bytes; return their rows."""
    monkeypatch.chdir(tmp_path)

    def run(content, form, name="file", **options):
        (tmp_path / name).write_bytes(content)
        return [d.gather("sentences") for d in read_documents(name, form=form, allow_list=True, **options)]

    return run


def test_json_lines_keep_their_other_keys(read):
    text = b'\xef\xbb\xbf{"id": 7, "sentences": ["a", "b"]}\n\n["c", "d"]\r\n'
    assert read(text, "jsonl") == [{"id": 7, "sentences": ["a", "b"]}, {"sentences": ["c", "d"]}]


def test_blank_lines_part_documents_of_text(read):
    text = "\n \nHe ate it.\nTom bought a cake.\r\n\n\t\nä\n\u3000\n\u00a0\nö\n".encode()
    documents = [row["sentences"] for row in read(text, "text")]
    assert documents == [["He ate it.", "Tom bought a cake."], ["ä"], ["ö"]]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"sentences": ["a",', r"file:3: is not JSON \(.* at column 20\)"),
        (b'"a"', "found 'a'"),
        (b'{"sentences": "a b"}', "file:3: a document is a list of sentences"),
        (b'["a", 3]', "file:3: sentence 1 must be a string, but is of type int: 3"),
        (b'["a", "\xff"]', r"file:3: is not UTF-8 \(invalid start byte at byte 7\)"),
    ],
)
def test_malformed_json_lines_are_named_with_the_reason(line, reason, read):
    text = b'["a"]\n\n' + line + b'\n["z"]\n'
    with pytest.raises((TypeError, ValueError), match=reason):
        read(text, "jsonl")


def test_reading_goes_on_behind_rejected_lines(read):
    rejected = []
    text = b'["a"]\n{oops\n["b", null]\n["\xff"]\n["z"]\n'
    assert read(text, "jsonl", on_error=rejected.append) == [{"sentences": ["a"]}, {"sentences": ["z"]}]
    assert [(record["source"], record["line"], record["text"]) for record in rejected] == [
        ("file", 2, "{oops"),
        ("file", 3, '["b", null]'),
        ("file", 4, '["\\xff"]'),
    ]
    assert rejected[0]["reason"].startswith("file:2: is not JSON")


def test_rejected_text_is_named_by_its_first_line(read):
    rejected = []
    text = b"a\nb\n\nok\n\xff\nend\n"
    assert read(text, "text", on_error=rejected.append) == [{"sentences": ["a", "b"]}]
    assert [record["line"] for record in rejected] == [4]


endings = st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"\xc3\xa4", b" "])).map(b"".join)


@given(endings)
def test_lines_end_where_python_ends_them_and_join_to_the_file(content):
    lines = list(read_lines(read_pieces(io.BytesIO(content))))
    assert b"".join(lines) == content
    assert all(b"\r" not in line.rstrip(b"\r\n") for line in lines)


@given(endings, st.integers(1, 4))
def test_lines_are_the_same_in_however_many_pieces_they_come(content, size):
    whole = content.splitlines(keepends=True) if b"\r" not in content else io.BytesIO(content).readlines()
    pieces = [line[start : start + size] for line in whole for start in range(0, len(line), size)]
    assert list(read_lines(pieces)) == list(read_lines(whole))


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(st.text(), values, max_size=3)), st.sampled_from([None, 1]), st.booleans())
def test_an_array_is_read_in_small_pieces_as_it_was_written(rows, indent, ascii):
    content = json.dumps(rows, indent=indent, ensure_ascii=ascii).encode("utf-8", "replace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_array, "BYTES_AT_ONCE", 1)
        pieces = json_array.split_json_array([bytes([byte]) for byte in content], "file", allow_list=True)
        assert [piece.parse() for piece in pieces] == json.loads(content)


def test_an_error_in_an_array_is_placed_where_it_stands_in_the_file(read):
    rows = "".join(f'{{"sentences": ["{n}"]}},' for n in range(9000))
    with pytest.raises(ValueError, match=rf"file:2: is not JSON \(.* at column {len(rows) + 8}\)"):
        read(f'[\n{rows} ["a", oops]]'.encode(), "json")


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        (b'{"sentences": ["b"], "id": 1, "id": 2}', "an object has the key 'id' twice"),
        (b'{"sentences": ["b"], "x": {"k": 1, "k": 2}}', "an object has the key 'k' twice"),
        (b'{"sentences": ["b"], "n": ' + b"9" * 5000 + b"}", "5000 digits"),
        (b'["b\nb"]', "is not JSON .Invalid control character at column 4"),
        (b"[" * 200 + b"]" * 200, "more than 100 deep"),
    ],
)
def test_an_element_of_an_array_that_cannot_be_kept_costs_no_other(element, reason, read):
    rejected = []
    text = b'[["a"], ' + element + b', ["c"]]'
    assert read(text, "json", on_error=rejected.append) == [{"sentences": ["a"]}, {"sentences": ["c"]}]
    [record] = rejected
    assert record["text"] == element.decode()
    assert re.search(f"^file, element 1: .*{reason}", record["reason"])


@pytest.mark.parametrize("form", [None, "json"])
def test_an_object_may_stand_on_several_lines(form, read):
    text = json.dumps({"id": 7, "sentences": ["a", "b"]}, indent=2).encode()
    assert read(text, form) == [{"id": 7, "sentences": ["a", "b"]}]


def test_a_list_of_sentences_may_stand_on_several_lines(read):
    assert read(b'[\n "a",\n "b"\n]\n', None) == [{"sentences": ["a", "b"]}]
    rejected = []
    assert read(b'[\n "a",\n "b\n]\n', None, on_error=rejected.append) == []
    assert len(rejected) == 2  # The string that is an element of no list of lists, and what follows.


def test_an_array_of_nothing_has_no_document(read):
    assert read(b"[]\n", "json") == []
    assert read(b"[]\n", "jsonl") == [{"sentences": []}]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("books", [False, True])
def test_text_of_another_encoding_is_not_ordered(books, encoding, read):
    with pytest.raises(ValueError, match="file:1: holds NUL characters, as UTF-16 does. Convert the file to UTF-8."):
        read("A b.\nC d.\n".encode(encoding), "text", books=books)


@pytest.mark.parametrize("first", ["[]", "null", "7", '"a"'])
@pytest.mark.parametrize("between", ["", "\n"])
def test_an_array_is_one_whatever_its_first_element_is(first, between, read):
    rejected = []
    text = f'[{between}{first}, {{"sentences": ["b"]}}, ["c"]]'.encode()
    rows = read(text, None, "file.json", on_error=rejected.append)
    if first == '"a"' and not between:  # A list of strings on one line is a document.
        assert (rows, len(rejected)) == ([], 1)
    else:
        assert rows[-2:] == [{"sentences": ["b"]}, {"sentences": ["c"]}]
        assert len(rows) + len(rejected) == 3


def test_a_number_that_is_too_large_is_not_made_infinite(read):
    with pytest.raises(ValueError, match="file:1: is no JSON that can be kept whole .the number 1e400 is too large"):
        read(b'{"sentences": ["a"], "n": 1e400}', "jsonl")
    assert read(b'{"sentences": ["a"], "n": 1e300}', "jsonl")[0]["n"] == 1e300


def test_reading_goes_on_behind_elements_that_are_no_utf_8(read):
    rejected = []
    text = b'[["a"], ["b\xff"], ["c"]]'
    assert read(text, "json", on_error=rejected.append) == [{"sentences": ["a"]}, {"sentences": ["c"]}]
    assert [(record["text"], record["reason"]) for record in rejected] == [
        ('["b\\xff"]', "file, element 1: is not UTF-8 (invalid start byte at byte 3).")
    ]


@pytest.mark.parametrize(
    ("form", "row", "begin", "end"),
    [
        ("json", b'{"sentences": ["Tom bought a cake.", "He ate it."]}, ', b"[", b"[]]"),
        ("text", b"Tom bought a cake.\rHe ate it.\r\r", b"", b""),
        ("csv", b'"[""Tom bought a cake."", ""He ate it.""]"\r', b"sentences\r", b""),
    ],
)
def test_no_more_than_a_part_of_a_file_of_one_line_is_in_memory(form, row, begin, end, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(begin + row * 50_000 + end)
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_documents(str(path), form=form, allow_list=True))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert count == 50_000 + (form == "json")


BAD_ROWS = {
    "jsonl": (
        b'{"sentences": ["a"]}\n["b", 3]\n{"x": %s}\n{"sentences": ["z"]}\n' % (b"[" * 20000 + b"]" * 20000),
        [("file", 2, '["b", 3]'), ("file", 3, '{"x": [[[[')],
    ),
    "json": (
        b'[{"sentences": ["a"]},\n["b", 3], 7,\n["z"],\n {"sentences": ["c"} , ["d"]]',
        [("file", 2, '["b", 3]'), ("file", 2, "7"), ("file", 4, '{"sentences": ["c"} , ["d"]]')],
    ),
    "csv": (
        b'id,sentences\n1,"[""a""]"\n2\n3,"[""\xff""]"\n4,a b\n5,"x"y\n6,"[\n""z""]"\n7,"open\n\n8,',
        [
            ("file", 3, "2"),
            ("file", 4, '3,"[""\\xff""]"'),
            ("file", 5, "4,a b"),
            ("file", 6, '5,"x"y'),
            ("file", 9, '7,"open\n\n8,'),
        ],
    ),
    "text": (b"a\n\n\xff\nb\n\nz\n", [("file", 3, "\\xff\nb")]),
}


@pytest.mark.parametrize("form", BAD_ROWS)
def test_every_bad_piece_is_set_aside_and_every_good_one_read(form, read):
    content, expected = BAD_ROWS[form]
    rejected = []
    rows = read(content, form, on_error=rejected.append)
    assert [row["sentences"] for row in rows] == [["a"], ["z"]]
    found = [(record["source"], record["line"], record["text"]) for record in rejected]
    assert [(source, line, text[:40]) for source, line, text in found] == [
        (source, line, text[:40] if "[[[[" not in text else '{"x": ' + "[" * 34) for source, line, text in expected
    ]
    assert all(record["reason"].startswith("file") for record in rejected)


def test_parquet_rows_that_cannot_be_read_are_set_aside(tmp_path):
    offsets, text = pa.array([0, 1, 2, 3], pa.int32()).buffers()[1], pa.py_buffer(b"x\xffz")
    names = pa.StringArray.from_buffers(3, offsets, text)
    table = pa.table(
        {"name": names, "sentences": [["a"], ["b"], ["c"]], "day": pa.array([1, 2, 2**60], pa.timestamp("ms"))}
    )
    pq.write_table(table, tmp_path / "corpus.parquet", store_schema=False)
    rejected = []
    documents = list(read_documents(str(tmp_path / "corpus.parquet"), on_error=rejected.append))
    assert [document.sentences for document in documents] == [["a"]]
    assert [record["line"] for record in rejected] == [1, 2]
    assert "corpus.parquet, row 1: has a value that cannot be read ('utf-8' codec" in rejected[0]["reason"]


def test_parquet_columns_whose_name_is_no_text_are_refused(tmp_path):
    path = tmp_path / "corpus.parquet"
    pq.write_table(pa.table({"sentences": [["a", "b"]], "noise": [1]}), path)
    path.write_bytes(path.read_bytes().replace(b"noise", b"no\x80se"))
    with pytest.raises(ValueError, match="corpus.parquet: is no Parquet file that can be read .'utf-8' codec"):
        list(read_documents(str(path)))


def test_parquet_columns_of_one_name_are_refused(tmp_path):
    table = pa.table([[["a"]], ["x"], ["y"]], names=["sentences", "id", "id"])
    pq.write_table(table, tmp_path / "corpus.parquet")
    with pytest.raises(ValueError, match="corpus.parquet: columns 2 and 3 are both named 'id'"):
        list(read_documents(str(tmp_path / "corpus.parquet")))


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b'\n ["a", "b"]\n', [{"sentences": ["a", "b"]}]),
        (b'{"sentences": ["a"]}', [{"sentences": ["a"]}]),
        (b'[{"sentences": ["a"]}, ["b"]]', [{"sentences": ["a"]}, {"sentences": ["b"]}]),
        (b'[\n  ["a"]\n]', [{"sentences": ["a"]}]),
        (b"[]\n", [{"sentences": []}]),
        (b"id,sentence1,sentence2\n7,a,b\n", [{"id": "7", "sentences": ["a", "b"]}]),
        (b'id\tsentences\n7\t["a"]\n', [{"id": "7", "sentences": ["a"]}]),
        (b"[laughs]\n[[link]]\n", [{"sentences": ["[laughs]", "[[link]]"]}]),
        (b"One, two.\nid,text\n", [{"sentences": ["One, two.", "id,text"]}]),
        (b"", []),
    ],
)
def test_files_without_an_ending_are_known_by_their_first_line(content, rows, read):
    assert read(content, None) == rows


def test_json_that_is_no_array_is_read_by_lines(read):
    assert read(b'["a", "b"]\n["c"]\n', None, "file.json") == [{"sentences": ["a", "b"]}, {"sentences": ["c"]}]
