"""JSON files: the elements of an array, of which no more is in memory than some elements, or one value."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import starmap

from .parsing import BYTES_AT_ONCE, Piece, Row, as_row, decode, fail, parse_json

# Finds where a value ends, whatever it means: what cannot be kept whole of it is an error of that element alone.
SCANNER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False)


def split_json_array(pieces: Iterable[bytes], source: str, *, allow_list: bool) -> Iterator[Piece]:
    """Take the elements of a JSON array one by one; behind an error nobody can tell where the next one begins.

    Args:
        pieces: The file in pieces of any length. What does not begin with a bracket is one document, and so is, if that
            is allowed, a list of strings.
        source: Its name.
        allow_list: Whether lists of sentences are documents, too.

    Yields:
        The elements; after an error all that is left of the file.
    """
    make = partial(_make_piece, allow_list=allow_list)
    text = _Text(pieces)
    if text.peek() != "[":
        line = text.line
        yield make(text.take_rest(), f"{source}:{line}", line)
        return
    text.advance(1)  # The opening bracket.
    more = text.peek() != "]"
    index = 0
    # The first elements with place and line: if there are no others, they are the sentences of one document.
    strings: list[tuple[bytes, str, int]] = []
    while more:
        text.peek()
        line = text.line
        where = f"{source}, element {index}"
        try:
            raw = text.take_value()
        except (ValueError, RecursionError) as error:
            yield from starmap(make, strings)
            yield _take_rest(text, error, source)
            return
        element = raw, where, line
        if allow_list and index == len(strings) and raw.startswith(b'"'):
            strings.append(element)
        else:
            yield from starmap(make, [*strings, element])
            strings = []
        index += 1
        more = text.peek() == ","
        if more:
            text.advance(1)
    if strings:
        _, _, line = strings[0]
        yield make(b"[%s]" % b", ".join(raw for raw, _, _ in strings), f"{source}:{line}", line)
    text.advance(1)  # The closing bracket.
    if text.peek():
        yield _take_rest(text, json.JSONDecodeError("Extra data", text.text, text.position), source)


def _parse_element(raw: bytes, where: str, *, allow_list: bool) -> Row:
    return as_row(parse_json(decode(raw, where), where), where, allow_list=allow_list)


def _make_piece(raw: bytes, where: str, line: int, *, allow_list: bool) -> Piece:
    return Piece("json", where, line, raw, partial(_parse_element, raw, where, allow_list=allow_list))


def _take_rest(text: _Text, error: Exception, source: str) -> Piece:
    line = text.line
    where = f"{source}:{text.locate(error)}"
    return Piece("json", where, line, text.take_rest(), partial(fail, error, where))


class _Text:
    """The text of a file from a position on; what lies before it is forgotten when more is read.

    What is no UTF-8 becomes lone surrogates, which no UTF-8 does, so that the reader goes on to the element's end.

    Args:
        pieces: The file in pieces.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = iter(pieces)
        self.decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self.text = ""
        self.position = 0
        self.line = 1  # That of the position.
        self.forgotten = 0  # Characters in front of the text that stand on its first line.

    def peek(self) -> str:
        """Go on to the next character that is not blank, and return it; "" at the end."""
        while True:
            end = _skip_blanks(self.text, self.position)
            self.advance(end - self.position)
            if end < len(self.text) or not self._read_more():
                return self.text[self.position : self.position + 1]

    def advance(self, count: int) -> None:
        """Go on by so many characters."""
        end = self.position + count
        self.line += self.text.count("\n", self.position, end)
        self.position = end

    def take_value(self) -> bytes:
        """Go on behind the next value, and return what stands there; a comma or a bracket has to follow."""
        while True:
            try:
                _, end = SCANNER.raw_decode(self.text, self.position)
                following = _skip_blanks(self.text, end)
                if self.text[following : following + 1] not in (",", "]"):
                    raise json.JSONDecodeError("Expecting ',' delimiter", self.text, following)
            except ValueError:
                if not self._read_more():  # Else the value may only have been cut.
                    raise
            else:
                raw = self.text[self.position : end]
                self.advance(end - self.position)
                return raw.encode("utf-8", "surrogateescape")

    def take_rest(self) -> bytes:
        """Return all that is left."""
        while self._read_more():
            pass
        return self.text[self.position :].encode("utf-8", "surrogateescape")

    def locate(self, error: Exception) -> int:
        """Return the line of an error, and let the error tell the column in the file."""
        if not isinstance(error, json.JSONDecodeError):
            return self.line
        start = self.text.rfind("\n", 0, error.pos)
        error.colno = error.pos - start + (self.forgotten if start < 0 else 0)
        return self.line + self.text.count("\n", self.position, error.pos)

    def _read_more(self) -> bool:
        """Read at least as much again as is left, so that no value is parsed from its beginning many times."""
        left = self.text[self.position :]
        parts, count = [left], 0
        while count < max(BYTES_AT_ONCE, len(left)):
            piece = next(self.pieces, b"")
            parts.append(self.decoder.decode(piece, final=not piece))
            if not piece:
                break
            count += len(piece)
        if not count and not parts[-1]:
            return False
        start = self.text.rfind("\n", 0, self.position)
        self.forgotten = self.position - start - 1 + (self.forgotten if start < 0 else 0)
        self.text, self.position = "".join(parts), 0
        return True


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position
