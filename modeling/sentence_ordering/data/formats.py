"""Files of documents to rows: JSON, CSV, Parquet and text, each row with its place for messages."""

from __future__ import annotations

import csv
import gzip
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain, filterfalse
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from .atomic import STANDARD_STREAM, open_input
from .documents import NUMBERED_COLUMN, Document, make_document
from .files import form_of, is_packed
from .json_array import split_json_array
from .parsing import Piece, Row, decode, is_blank, read_lines, read_pieces, split_json_lines, split_paragraphs
from .tables import DELIMITERS, read_csv, read_parquet

if TYPE_CHECKING:
    import pyarrow as pa

# A JSON array of objects or lists; a list of strings is one document instead.
JSON_ARRAY = re.compile(r'\[\s*(\{|\[\s*["\]]|$)')
JSON_LINE = re.compile(r'\{|\[\s*["\]]')


def read_files(
    paths: Sequence[str], *, sentences_column: str = "sentences", language: str | None = None, books: bool = False
) -> Iterator[tuple[str, Row]]:
    """Read the documents of files; see `load_documents` for what a file may hold.

    Args:
        paths: The files.
        sentences_column: Column of the lists of sentences.
        language: Language of running text, which is then split into sentences.
        books: Whether a text file is one document.

    Yields:
        For each document its place, like `"stories.csv:17"`, and its row with all columns.

    Raises:
        OSError: If a file cannot be opened.
        TypeError: If a document is no list of strings; the message names file, line and column.
        ValueError: If a file is empty, of an unknown kind, or malformed; likewise.

    Example:
        >>> list(read_files(["stories.csv"]))
        [('stories.csv:2', {'storyid': '7', 'sentences': ['Tom bought a cake.', 'Then he ate it.']})]
    """
    for path in paths:
        document = None
        for document in read_documents(path, sentences_column=sentences_column, language=language, books=books):
            yield document.piece.where, document.gather(sentences_column)
        if document is None:
            raise ValueError(f"{path}: the file is empty.")


def read_documents(
    path: str,
    *,
    form: str | None = None,
    sentences_column: str = "sentences",
    language: str | None = None,
    books: bool = False,
    allow_list: bool = False,
    check: Callable[[Document], None] | None = None,
    on_error: Callable[[dict[str, Any]], None] | None = None,
) -> Iterator[Document]:
    """Read the documents of one file or pipe from beginning to end, one at a time.

    Args:
        path: The file; `"-"` is standard input.
        form: One of the values of `FORMATS`; by default what the name says, or, where it says nothing, the first line.
        sentences_column: Column of the lists of sentences.
        language: Language of running text, which is then split into sentences.
        books: Whether a text file is one document.
        allow_list: Whether JSON lists of strings are documents, too.
        check: Called with each document; raises TypeError or ValueError if it is not what is wanted.
        on_error: Called for each piece of the file that is no document, with its `source`, `line`, `reason` and
            `text`; reading goes on behind it. By default the error is raised.

    Yields:
        The documents.

    Raises:
        OSError: If the file cannot be opened or read.
        TypeError: If a document is no list of strings; the message names file, line and column.
        ValueError: If the file is of an unknown kind, no complete file of its kind, or a document is malformed.

    Example:
        >>> [document.sentences for document in read_documents("stories.csv")]
        [['Tom bought a cake.', 'Then he ate it.']]
    """
    form = form or form_of(path)
    if form not in (None, "text") and (language is not None or books):
        raise ValueError(f"{path}: a language and books are for text files, whose sentences are not told apart yet.")
    if language is not None or books:
        form = "text"
    source = "standard input" if path == STANDARD_STREAM else path
    split = partial(
        _split, source=source, form=form, sentences_column=sentences_column, language=language, allow_list=allow_list
    )
    with _open(path) as data:
        try:
            for piece in _read_book(data, source, sentences_column, language) if books else split(data):
                try:
                    document = make_document(piece, sentences_column)
                    if check is not None:
                        check(document)
                except (TypeError, ValueError) as error:
                    if on_error is None:
                        raise
                    on_error({"source": source, "line": piece.number, "reason": str(error), "text": piece.text()})
                else:
                    yield document
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{source}: is no complete gzip file ({error}).") from error


def read_schema(path: str) -> pa.Schema | None:
    """Read the types of the columns of a Parquet file.

    Args:
        path: The file.

    Returns:
        The types; None if it is a pipe, which can be read only once.

    Raises:
        OSError: If it cannot be opened.

    Example:
        >>> read_schema("stories.parquet").names
        ['sentences']
    """
    import pyarrow.parquet as pq

    if not Path(path).is_file():
        return None
    with _open(path) as data:
        with _seekable(data, None) as table:
            return pq.read_schema(table)


def read_columns(path: str, form: str) -> list[str]:
    """Read the names of the columns of a table.

    Args:
        path: The file.
        form: Its form, one of the values of `FORMATS`.

    Returns:
        The names; none if it is no table, or a pipe, which can be read only once.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If the first line is no UTF-8.

    Example:
        >>> read_columns("stories.csv", "csv")
        ['storyid', 'sentences']
    """
    if form == "parquet":
        schema = read_schema(path)
        return [] if schema is None else schema.names
    if form not in DELIMITERS or not Path(path).is_file():
        return []
    with _open(path) as data:
        lines = (line.decode("utf-8") for line in read_lines(read_pieces(data)))
        table = csv.reader(lines, delimiter=DELIMITERS[form])
        return next((row for row in table if any(map(str.strip, row))), [])


@contextmanager
def _open(path: str) -> Iterator[BinaryIO]:
    """Open a file or pipe, unpacked if its name ends in `.gz`."""
    with open_input(path) as file:
        yield cast(BinaryIO, gzip.GzipFile(fileobj=file)) if is_packed(path) else file


def _split(
    file: BinaryIO,
    *,
    source: str,
    form: str | None,
    sentences_column: str,
    language: str | None,
    allow_list: bool,
) -> Iterator[Piece]:
    """Split a file into what should be documents, without going back in it: it may be a pipe."""
    pieces = read_pieces(file)
    begin: list[bytes] = []
    if form in (None, "json"):
        for piece in pieces:
            begin.append(piece)
            if not is_blank(piece):
                break
        form = _guess_form(next(filterfalse(is_blank, read_lines(begin)), b""), form, sentences_column)
    if form == "parquet":
        with _seekable(file, chain(begin, pieces) if begin else None) as table:
            yield from read_parquet(table, source)
        return
    pieces = chain(begin, pieces)
    if form in DELIMITERS:
        yield from read_csv(read_lines(pieces), source, sentences_column, form)
    elif form == "json":
        yield from split_json_array(pieces, source, allow_list=allow_list)
    elif form == "jsonl":
        yield from split_json_lines(read_lines(pieces), source, allow_list=allow_list)
    else:
        for where, number, raw in split_paragraphs(read_lines(pieces), source):
            yield Piece("text", where, number, raw, partial(_parse_paragraph, raw, where, sentences_column, language))


def _guess_form(line: bytes, form: str | None, sentences_column: str) -> str:
    """Tell the form of a file by its first line that is not blank."""
    text = line.decode("utf-8", "replace").strip()
    if JSON_ARRAY.match(text) or (form == "json" and text.startswith("[") and not JSON_LINE.match(text)):
        return "json"
    if text == "{" or (form == "json" and text == "[]"):  # An object over several lines, or an array of nothing.
        return "json"
    if form == "json" or JSON_LINE.match(text):
        return "jsonl"
    if line.startswith(b"PAR1"):
        return "parquet"
    for name, delimiter in DELIMITERS.items():
        with suppress(csv.Error):
            header = next(csv.reader([text], delimiter=delimiter), [])
            if (
                sentences_column in header
                or sum(NUMBERED_COLUMN.fullmatch(column) is not None for column in header) > 1
            ):
                return name
    return "text"


@contextmanager
def _seekable(file: BinaryIO, pieces: Iterable[bytes] | None) -> Iterator[BinaryIO]:
    """Copy a pipe or a packed file to the disk, because Parquet files are read from their end.

    Args:
        file: The file.
        pieces: All that is in it, if some of it was read already.
    """
    if pieces is None and file.seekable() and not isinstance(file, gzip.GzipFile):
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        if pieces is None:
            shutil.copyfileobj(file, copy)
        else:
            copy.writelines(pieces)
        copy.seek(0)
        yield cast(BinaryIO, copy)


def _parse_paragraph(raw: bytes, where: str, sentences_column: str, language: str | None) -> Row:
    lines = _decode_text(raw, where).split("\n")
    return {sentences_column: lines if language is None else split_sentences(" ".join(lines), language)}


def _decode_text(raw: bytes, where: str) -> str:
    """Decode text, in which a NUL is a sign of another encoding: in UTF-16 English has one in every character."""
    if b"\0" in raw:
        raise ValueError(f"{where}: holds NUL characters, as UTF-16 does. Convert the file to UTF-8.")
    return decode(raw, where)


def _read_book(file: BinaryIO, source: str, sentences_column: str, language: str | None) -> Iterator[Piece]:
    """Read a file as one document, whose paragraphs are its sentences or are split into them."""
    sentences: list[str] = []
    for where, _, raw in split_paragraphs(read_lines(read_pieces(file)), source):
        text = " ".join(_decode_text(raw, where).split("\n"))
        sentences += [text] if language is None else split_sentences(text, language)
    if sentences:
        row = {sentences_column: sentences, "source": source}
        yield Piece("text", source, 1, row, lambda: row)


def split_sentences(text: str, language: str) -> list[str]:
    """Split running text into sentences with `sentencex`.

    Args:
        text: A paragraph.
        language: Its language, an ISO 639-1 code.

    Returns:
        Its sentences.

    Raises:
        ImportError: If `sentencex` is not installed.

    Example:
        >>> split_sentences("Dr. Smith bought a cake. He ate it.", "en")
        ['Dr. Smith bought a cake.', 'He ate it.']
    """
    try:
        from sentencex import segment
    except ImportError as error:
        raise ImportError(
            "Splitting text into sentences needs sentencex: `pip install 'sentence-ordering[text]'`. Text with one "
            "sentence a line needs no splitting."
        ) from error
    return [sentence.strip() for sentence in segment(language, text) if sentence.strip()]
