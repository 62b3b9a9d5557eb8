import pytest

from sentence_ordering.data import read_documents


def read(text, **kwargs):
    return list(read_documents(text.splitlines(keepends=True), "file", **kwargs))


def test_json_lines_keep_their_other_keys():
    text = b'\xef\xbb\xbf{"id": 7, "sentences": ["a", "b"]}\n\n["c", "d"]\r\n'
    assert read(text, jsonl=True) == [{"id": 7, "sentences": ["a", "b"]}, {"sentences": ["c", "d"]}]


def test_blank_lines_part_documents_of_text():
    text = "\n \nHe ate it.\nTom bought a cake.\r\n\n\t\nä\n\u3000\n\u00a0\nö\n".encode()
    documents = [row["sentences"] for row in read(text, jsonl=False)]
    assert documents == [["He ate it.", "Tom bought a cake."], ["ä"], ["ö"]]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"sentences": ["a",', r"file:3: is not JSON \(.* at column 20\)"),
        (b'{"text": "a"}', r"file:3: the object has no \"sentences\", only the keys \['text'\]"),
        (b"{}", r"has no \"sentences\", only the keys \[\]"),
        (b'"a"', "found 'a'"),
        (b'{"sentences": "a b"}', "file:3: a document is a list of sentences"),
        (b'["a", 3]', "file:3: sentence 1 must be a string, but is of type int: 3"),
        (b'["a", "\xff"]', r"file:3: is not UTF-8 \(invalid start byte at byte 7\)"),
    ],
)
def test_malformed_json_lines_are_named_with_the_reason(line, reason):
    text = b'["a"]\n\n' + line + b'\n["z"]\n'
    with pytest.raises((TypeError, ValueError), match=reason):
        read(text, jsonl=True)


def test_reading_goes_on_behind_rejected_lines():
    rejected = []
    text = b'["a"]\n{oops\n["b", null]\n["\xff"]\n["z"]\n'
    assert read(text, jsonl=True, on_error=rejected.append) == [{"sentences": ["a"]}, {"sentences": ["z"]}]
    assert [(record["source"], record["line"], record["text"]) for record in rejected] == [
        ("file", 2, "{oops"),
        ("file", 3, '["b", null]'),
        ("file", 4, '["\\xff"]'),
    ]
    assert rejected[0]["reason"].startswith("file:2: is not JSON")


def test_rejected_text_is_named_by_its_first_line():
    rejected = []
    text = b"a\nb\n\nok\n\xff\nend\n"
    assert read(text, jsonl=False, on_error=rejected.append) == [{"sentences": ["a", "b"]}]
    assert [record["line"] for record in rejected] == [4]
