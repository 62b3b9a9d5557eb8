"""Pieces of files that should be documents: JSON lines and paragraphs of text."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from math import isfinite, isinf, isnan
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, NoReturn

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Deeper JSON could be read, but not always written or put into a table.
DEEPEST = 100
# A whole file may stand on one line, and is not to be in memory at once.
BYTES_AT_ONCE = 2**16


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


def read_pieces(file: BinaryIO) -> Iterator[bytes]:
    """Read a file from beginning to end, never further than to the end of a line.

    Args:
        file: The file.

    Yields:
        Its lines, which end at LF, long ones in several pieces. A byte order mark at the beginning is left out.
    """
    first = True
    while piece := file.readline(BYTES_AT_ONCE):
        yield piece.removeprefix(BYTE_ORDER_MARK) if first else piece
        first = False


def read_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    r"""Make lines with their ends: LF, CRLF or a lone CR.

    Args:
        pieces: What `read_pieces` yields.

    Yields:
        The lines; joined they are the file.

    Example:
        >>> list(read_lines([b"One.\rTwo.\r\n", b"Thr", b"ee."]))
        [b'One.\r', b'Two.\r\n', b'Three.']
    """
    begun: list[bytes] = []
    for piece in pieces:
        begun.append(piece)
        if b"\r" in piece.rstrip(b"\r") or piece.endswith(b"\n"):
            *whole, last = _split_at_returns(b"".join(begun))
            yield from whole
            begun = [last]
            if last.endswith(b"\n"):
                yield last
                begun = []
    if begun:
        yield from _split_at_returns(b"".join(begun))


def _split_at_returns(text: bytes) -> list[bytes]:
    """Split behind CRs, but for those at the end, which may belong to a CRLF of which the LF was not read yet."""
    body = text.rstrip(b"\r\n")
    *first, last = body.split(b"\r")
    return [*(part + b"\r" for part in first), last + text[len(body) :]]


def split_json_lines(lines: Iterable[bytes], source: str, *, allow_list: bool) -> Iterator[Piece]:
    """Take each line that is not blank for a JSON object, or, if that is allowed, for a list of sentences."""
    for number, line in enumerate(lines, start=1):
        if not is_blank(line):
            where, raw = f"{source}:{number}", line.rstrip(b"\r\n")
            yield Piece("jsonl", where, number, raw, partial(_parse_json_line, raw, where, allow_list=allow_list))


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
        value = json.loads(text, object_pairs_hook=make_object, parse_float=_parse_float)
    except (ValueError, RecursionError) as error:
        fail(error, where)
    _check_depth(value, where)
    return value


def format_json(value: Any) -> str:
    """Format a value, a row for example, as one line of JSONL; what JSON does not know as `as_text` writes it."""
    return json.dumps(value, ensure_ascii=False, default=as_text) + "\n"


def as_text(value: object) -> str:
    """Write what JSON has no form for as text: bytes in base64, a date or a decimal as Python writes it."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def replace_infinite(value: Any) -> Any:
    """Replace the numbers that JSON does not know: NaN, with which tables mark empty cells, by None, others by text.

    JSON that has them nevertheless, as Python writes it, is not for this: it comes out as it went in.
    """
    if isinstance(value, float) and not isfinite(value):
        return None if isnan(value) else str(value)
    if isinstance(value, dict):
        return {key: replace_infinite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [replace_infinite(item) for item in value]
    return value


def encode(text: str) -> bytes:
    """Encode text as UTF-8, and what that cannot hold as an escape, which JSON reads back as what it was."""
    return text.encode("utf-8", "backslashreplace")


def _parse_json_line(line: bytes, where: str, *, allow_list: bool) -> Row:
    # Files with a byte order mark may have been joined.
    value = parse_json(decode(line.removeprefix(BYTE_ORDER_MARK), where), where)
    return as_row(value, where, allow_list=allow_list)


def as_row(value: Any, where: str, *, allow_list: bool) -> Row:
    """Take a JSON value for a row, or for a list of sentences if that is allowed; else raise a ValueError."""
    _check_depth(value, where)
    if allow_list and isinstance(value, list):
        return {"sentences": value}
    if not isinstance(value, dict):
        raise ValueError(f'{where}: expected an object like {{"sentences": [...]}}, but found {value!r:.80}.')
    return value


def make_object(pairs: list[tuple[str, Any]]) -> Row:
    """Make an object, unless that would drop a value."""
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the key {twice!r} twice")
    return row


def _parse_float(text: str) -> float:
    value = float(text)
    if isinf(value):
        raise ValueError(f"the number {text:.40} is too large")
    return value


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


def fail(error: Exception, where: str) -> NoReturn:
    """Raise what went wrong with JSON as a ValueError that names the place."""
    if isinstance(error, json.JSONDecodeError):
        raise ValueError(f"{where}: is not JSON ({error.msg.removesuffix(' at')} at column {error.colno}).") from error
    if isinstance(error, RecursionError):
        raise ValueError(f"{where}: has lists or objects more than {DEEPEST} deep in each other.") from error
    raise ValueError(f"{where}: is no JSON that can be kept whole ({error}).") from error
