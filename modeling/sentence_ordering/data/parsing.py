"""Documents from lines: JSON lines, and text with blank lines between documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ..model.encoding import check_sentences


def read_documents(
    lines: Iterable[bytes],
    source: str,
    *,
    jsonl: bool,
    check: Callable[[Any, str], None] = check_sentences,
    reserved: Sequence[str] = (),
    on_error: Callable[[dict[str, Any]], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Read documents from the lines of a file, one at a time.

    Args:
        lines: The file's lines, in UTF-8.
        source: The file's name, for messages.
        jsonl: Whether a line is a JSON object with a list of strings under `"sentences"`, or such a list itself.
            Otherwise a line is a sentence, and blank lines stand between documents.
        check: Called with the sentences and their place; raises TypeError or ValueError if they are no document.
        reserved: Keys that the objects must not have, because they will be added.
        on_error: Called for each piece of the file that is no document, with its `source`, `line`, `reason` and
            `text`; reading goes on behind it. By default the error is raised.

    Yields:
        The JSON objects with all their keys, or objects with `sentences` only.

    Raises:
        ValueError: At malformed lines, and objects with a reserved key; the message names file, line and reason.
        TypeError: Likewise, where `sentences` is no list of strings.

    Example:
        >>> list(read_documents([b"He ate it.", b"Tom bought a cake."], "story.txt", jsonl=False))
        [{'sentences': ['He ate it.', 'Tom bought a cake.']}]
    """
    pieces = json_lines(lines) if jsonl else join_paragraphs(lines)
    for number, piece in pieces:
        where = f"{source}:{number}"
        try:
            if jsonl:
                row = parse_json(piece, where, allow_list=True)
            else:
                row = {"sentences": decode(piece, where).split("\n")}
            check(_sentences_of(row, where), where)
            taken = [key for key in reserved if key in row]
            if taken:
                raise ValueError(
                    f"{where}: has the keys {taken}, which the answer would overwrite. Rename or drop them."
                )
        except (TypeError, ValueError) as error:
            if on_error is None:
                raise
            text = piece.decode("utf-8", "backslashreplace")
            on_error({"source": source, "line": number, "reason": str(error), "text": text})
        else:
            yield row


def format_json(row: dict[str, Any]) -> str:
    """Format an object as one line of a JSONL file; what JSON does not know, a date for example, as its text."""
    return json.dumps(row, ensure_ascii=False, default=str) + "\n"


def is_blank(line: bytes) -> bool:
    """Tell whether a reader sees nothing on a line; some blanks are not ASCII."""
    return not line.decode("utf-8", "replace").strip()


def json_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Leave out blank lines, and number the others from 1."""
    for number, line in enumerate(lines, start=1):
        if not is_blank(line):
            yield number, line.rstrip(b"\r\n")


def join_paragraphs(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Join the lines between blank ones, numbered by the first."""
    paragraph: list[bytes] = []
    number = 0
    for number, line in enumerate(lines, start=1):
        if not is_blank(line):
            paragraph.append(line.rstrip(b"\r\n"))
        elif paragraph:
            yield number - len(paragraph), b"\n".join(paragraph)
            paragraph = []
    if paragraph:
        yield number - len(paragraph) + 1, b"\n".join(paragraph)


def decode(piece: bytes, where: str) -> str:
    """Decode UTF-8, with or without a byte order mark; the ValueError names the place."""
    try:
        return piece.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: is not UTF-8 ({error.reason} at byte {error.start}).") from error


def parse_json(line: bytes, where: str, *, allow_list: bool) -> dict[str, Any]:
    """Parse one line of a JSONL file into an object; the ValueError names the place."""
    try:
        row = json.loads(decode(line, where))
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: is not JSON ({error.msg} at column {error.colno}).") from error
    if allow_list and isinstance(row, list):
        return {"sentences": row}
    if not isinstance(row, dict):
        raise ValueError(f'{where}: expected an object like {{"sentences": [...]}}, but found {row!r:.80}.')
    return row


def _sentences_of(row: dict[str, Any], where: str) -> Any:
    if "sentences" not in row:
        raise ValueError(f'{where}: the object has no "sentences", only the keys {list(row)}.')
    return row["sentences"]
