"""Pieces of files that should be documents: JSON lines, elements of a JSON array, paragraphs of text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Deeper JSON could be read, but not always written or put into a table.
DEEPEST = 100


class Piece(NamedTuple):
    """A piece of a file that should be a document.

    Args:
        form: The form of the file, one of the values of `FORMATS`.
        where: Its place, for messages: `"stories.csv:17"`.
        number: The line with which it begins, from 1, or its row in a Parquet file, from 0.
        raw: What stands there.
        parse: Makes a row of it; raises TypeError or ValueError with its place where it cannot.
        schema: The types of the columns of a Parquet file.
    """

    form: str
    where: str
    number: int
    raw: bytes | str | Row
    parse: Callable[[], Row]
    schema: pa.Schema | None = None

    def text(self) -> str:
        """Return what stands there as text, in which bytes that are no UTF-8 are escaped."""
        if isinstance(self.raw, bytes):
            return self.raw.decode("utf-8", "backslashreplace")
        return self.raw if isinstance(self.raw, str) else format_json(self.raw)


def read_lines(file: Iterable[bytes]) -> Iterator[bytes]:
    r"""Read lines with their ends: LF, CRLF or a lone CR. A byte order mark in front of the first is left out.

    Args:
        file: The file, or other pieces that end at LF.

    Yields:
        The lines; joined they are the file.

    Example:
        >>> list(read_lines([b"One.\rTwo.\r\n", b"Three."]))
        [b'One.\r', b'Two.\r\n', b'Three.']
    """
    for number, line in enumerate(file):
        line = line.removeprefix(BYTE_ORDER_MARK) if number == 0 else line
        body = line.rstrip(b"\r\n")
        *first, last = body.split(b"\r")
        yield from (part + b"\r" for part in first)
        yield last + line[len(body) :]


def split_json_lines(lines: Iterable[bytes], source: str, *, allow_list: bool) -> Iterator[Piece]:
    """Take each line that is not blank for a JSON object, or, if that is allowed, for a list of sentences."""
    for number, line in enumerate(lines, start=1):
        if not is_blank(line):
            where, raw = f"{source}:{number}", line.rstrip(b"\r\n")
            yield Piece("jsonl", where, number, raw, partial(_parse_json_line, raw, where, allow_list=allow_list))


def split_json_array(text: str, source: str, *, allow_list: bool) -> Iterator[Piece]:
    """Take the elements of a JSON array one by one; behind an error nobody can tell where the next one begins."""
    decoder = json.JSONDecoder(object_pairs_hook=_make_object)
    position, line, index = text.index("[") + 1, 1, 0
    counted = 0
    while True:
        position = _skip_blanks(text, position)
        line += text.count("\n", counted, position)
        counted = position
        if index == 0 and text[position : position + 1] == "]":
            break
        try:
            value, end = decoder.raw_decode(text, position)
            following = _skip_blanks(text, end)
            if text[following : following + 1] not in (",", "]"):
                raise json.JSONDecodeError("Expecting ',' delimiter", text, following)
        except (ValueError, RecursionError) as error:
            where = f"{source}:{error.lineno if isinstance(error, json.JSONDecodeError) else line}"
            yield Piece("json", where, line, text[position:], partial(_fail, error, where))
            return
        where = f"{source}, element {index}"
        yield Piece("json", where, line, text[position:end], partial(_as_row, value, where, allow_list=allow_list))
        position, index = following, index + 1
        if text[position] == "]":
            break
        position += 1
    rest = _skip_blanks(text, position + 1)
    if rest < len(text):
        line += text.count("\n", counted, rest)
        surplus = json.JSONDecodeError("Extra data", text, rest)
        yield Piece("json", f"{source}:{line}", line, text[rest:], partial(_fail, surplus, f"{source}:{line}"))


def split_paragraphs(lines: Iterable[bytes], source: str) -> Iterator[tuple[str, int, bytes]]:
    """Join the lines between blank ones.

    Args:
        lines: The lines of the file.
        source: Its name.

    Yields:
        Place, number of the first line, and the lines, which end at LF but for the last.
    """
    paragraph: list[bytes] = []
    first = 1
    for number, line in enumerate(lines, start=1):
        if not is_blank(line):
            if not paragraph:
                first = number
            paragraph.append(line.rstrip(b"\r\n"))
        elif paragraph:
            yield f"{source}:{first}", first, b"\n".join(paragraph)
            paragraph = []
    if paragraph:
        yield f"{source}:{first}", first, b"\n".join(paragraph)


def is_blank(line: bytes) -> bool:
    """Tell whether a reader sees nothing on a line; some blanks are not ASCII."""
    return not line.decode("utf-8", "replace").strip()


def decode(piece: bytes, where: str) -> str:
    """Decode UTF-8; the ValueError names the place."""
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: is not UTF-8 ({error.reason} at byte {error.start}).") from error


def parse_json(text: str, where: str) -> Any:
    """Parse JSON.

    Args:
        text: One JSON value.
        where: Its place, to begin error messages with.

    Returns:
        The value.

    Raises:
        ValueError: If it is malformed, or cannot be kept whole: an object has a key twice, a number has thousands of
            digits, or lists and objects stand too deep in each other.
    """
    try:
        value = json.loads(text, object_pairs_hook=_make_object)
    except (ValueError, RecursionError) as error:
        _fail(error, where)
    _check_depth(value, where)
    return value


def format_json(row: Row) -> str:
    """Format an object as one line of a JSONL file; what JSON does not know, a date for example, as its text."""
    return json.dumps(row, ensure_ascii=False, default=str) + "\n"


def _parse_json_line(line: bytes, where: str, *, allow_list: bool) -> Row:
    # Files with a byte order mark may have been joined.
    value = parse_json(decode(line.removeprefix(BYTE_ORDER_MARK), where), where)
    return _as_row(value, where, allow_list=allow_list)


def _as_row(value: Any, where: str, *, allow_list: bool) -> Row:
    _check_depth(value, where)
    if allow_list and isinstance(value, list):
        return {"sentences": value}
    if not isinstance(value, dict):
        raise ValueError(f'{where}: expected an object like {{"sentences": [...]}}, but found {value!r:.80}.')
    return value


def _make_object(pairs: list[tuple[str, Any]]) -> Row:
    """Make an object, unless that would drop a value."""
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the key {twice!r} twice")
    return row


def _check_depth(value: Any, where: str) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            child
            for item in level
            if isinstance(item, (list, dict))
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, (list, dict))
        ]
        if not level:
            return
    raise ValueError(f"{where}: has lists or objects more than {DEEPEST} deep in each other.")


def _fail(error: Exception, where: str) -> NoReturn:
    """Raise what went wrong with JSON as a ValueError that names the place."""
    if isinstance(error, json.JSONDecodeError):
        raise ValueError(f"{where}: is not JSON ({error.msg} at column {error.colno}).") from error
    if isinstance(error, RecursionError):
        raise ValueError(f"{where}: has lists or objects more than {DEEPEST} deep in each other.") from error
    raise ValueError(f"{where}: is no JSON that can be kept whole ({error}).") from error


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position
