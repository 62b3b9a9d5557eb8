"""Corpora and files of documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, load_dataset, load_from_disk
from datasets.exceptions import DatasetGenerationError

from ..encoding_sentence_ordering import check_sentences
from .preparation import check_columns

EMBEDDED_CORPORA = ("bigbench_narratives",)
BUILDERS = {".jsonl": "json", ".json": "json", ".parquet": "parquet"}
TEXT_SUFFIXES = (".txt", ".text", "")


def load_documents(source: str | Mapping[str, str]) -> DatasetDict:
    """Load a corpus: one document a row, its sentences in natural order.

    Args:
        source: The name of an embedded corpus (`"bigbench_narratives"`), the folder of a dataset that was saved with
            `save_to_disk`, a Hub dataset id, or a dict from the name of a split to its file: JSONL or Parquet with a
            column of lists of sentences, or text with one sentence a line and a blank line between documents.

    Returns:
        The splits, with all their columns.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a file is empty or of an unknown kind, or a line of a JSONL file is malformed; the message names
            file, line and reason.

    Example:
        >>> load_documents("bigbench_narratives")["validation"][0]["sentences"][0]
        "Sue's group at work did a great job on their project last month."
    """
    if isinstance(source, Mapping):
        return DatasetDict({split: _load_file(Path(path)) for split, path in source.items()})
    if source in EMBEDDED_CORPORA:
        corpora = files("sentence_ordering") / "corpora"
        return load_documents({split: str(corpora / f"{source}.{split}.jsonl") for split in ("train", "validation")})
    loaded = load_from_disk(source) if Path(source).is_dir() else load_dataset(source)
    return loaded if isinstance(loaded, DatasetDict) else DatasetDict(train=loaded)


def choose_split(splits: DatasetDict, name: str, source: str) -> Dataset:
    """Take one split of a corpus.

    Args:
        splits: What `load_documents` returned.
        name: The split's name.
        source: The corpus's name, for the message.

    Returns:
        The split.

    Raises:
        ValueError: If there is none of that name; the message lists those that there are.
    """
    if name not in splits:
        raise ValueError(f"{source} has no split {name!r}, only {list(splits)}.")
    return splits[name]


def _load_file(path: Path) -> Dataset:
    """Load one file, and say what is wrong in which line where datasets only says that something is."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r}.")
    if path.suffix not in (*BUILDERS, *TEXT_SUFFIXES):
        raise ValueError(f"{path}: expected a file that ends in {', '.join(BUILDERS)} or .txt.")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty.")
    if path.suffix in TEXT_SUFFIXES:
        with path.open("rb") as lines:
            return Dataset.from_list(list(read_documents(lines, str(path), jsonl=False)))
    if BUILDERS[path.suffix] == "json":
        with path.open("rb") as lines:  # datasets would notice only when the text is read.
            for number, line in enumerate(lines, start=1):
                _decode(line, f"{path}:{number}")
    try:
        return load_dataset(BUILDERS[path.suffix], data_files=str(path), split="train")
    except DatasetGenerationError:
        if BUILDERS[path.suffix] == "json":
            with path.open("rb") as lines:
                for number, line in _json_lines(lines):
                    _parse_json(line, f"{path}:{number}", allow_list=False)
        raise


def read_documents(
    lines: Iterable[bytes],
    source: str,
    *,
    jsonl: bool,
    check: Callable[[Any, str], None] = check_sentences,
    on_error: Callable[[dict[str, Any]], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Read documents from the lines of a file, one at a time.

    Args:
        lines: The file's lines, in UTF-8.
        source: The file's name, for messages.
        jsonl: Whether a line is a JSON object with a list of strings under `"sentences"`, or such a list itself.
            Otherwise a line is a sentence, and blank lines stand between documents.
        check: Called with the sentences and their place; raises TypeError or ValueError if they are no document.
        on_error: Called for each piece of the file that is no document, with its `source`, `line`, `reason` and
            `text`; reading goes on behind it. By default the error is raised.

    Yields:
        The JSON objects with all their keys, or objects with `sentences` only.

    Raises:
        ValueError: At malformed lines; the message names file, line and reason.
        TypeError: Likewise, where `sentences` is no list of strings.

    Example:
        >>> list(read_documents([b"He ate it.", b"Tom bought a cake."], "story.txt", jsonl=False))
        [{'sentences': ['He ate it.', 'Tom bought a cake.']}]
    """
    pieces = _json_lines(lines) if jsonl else _paragraphs(lines)
    for number, piece in pieces:
        where = f"{source}:{number}"
        try:
            if jsonl:
                row = _parse_json(piece, where, allow_list=True)
            else:
                row = {"sentences": _decode(piece, where).split("\n")}
            check(_sentences_of(row, where), where)
        except (TypeError, ValueError) as error:
            if on_error is None:
                raise
            text = piece.decode("utf-8", "backslashreplace")
            on_error({"source": source, "line": number, "reason": str(error), "text": text})
        else:
            yield row


def _json_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, line.rstrip(b"\r\n")


def _paragraphs(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Join the lines between blank ones, numbered by the first."""
    paragraph: list[bytes] = []
    number = 0
    for number, line in enumerate(lines, start=1):
        if line.strip():
            paragraph.append(line.rstrip(b"\r\n"))
        elif paragraph:
            yield number - len(paragraph), b"\n".join(paragraph)
            paragraph = []
    if paragraph:
        yield number - len(paragraph) + 1, b"\n".join(paragraph)


def _decode(piece: bytes, where: str) -> str:
    try:
        return piece.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: is not UTF-8 ({error.reason} at byte {error.start}).") from error


def _parse_json(line: bytes, where: str, *, allow_list: bool) -> dict[str, Any]:
    """Parse one line of a JSONL file into an object."""
    try:
        row = json.loads(_decode(line, where))
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


def split_marked_text(
    dataset: Dataset,
    sentence_token: str,
    *,
    text_column: str = "text",
    positions_column: str = "so_targets",
) -> Dataset:
    """Read documents that are one string with a literal sentence token in front of every sentence.

    Args:
        dataset: Rows of such strings, and the place of each of their sentences in the natural order.
        sentence_token: The literal token, for example `"[CLS]"`.
        text_column: Column of the strings.
        positions_column: Column of the lists of 0-based places; -100 at their end is padding.

    Returns:
        The dataset with these two columns replaced by `sentences` and `positions`, for
        `prepare_dataset(..., positions_column="positions")`.

    Raises:
        ValueError: If a column is missing, or a text has another number of sentences than of places.

    Example:
        >>> marked = Dataset.from_list([{"text": "[CLS] He ate it. [CLS] Tom bought a cake.", "so_targets": [1, 0]}])
        >>> split_marked_text(marked, "[CLS]")[0]
        {'sentences': ['He ate it.', 'Tom bought a cake.'], 'positions': [1, 0]}
    """
    check_columns(dataset.column_names, text_column, positions_column)

    def split(row: dict[str, Any], index: int) -> dict[str, list[Any]]:
        before, *sentences = (part.strip() for part in row[text_column].split(sentence_token))
        positions = list(row[positions_column])
        while positions and positions[-1] == -100:
            positions.pop()
        if before or len(sentences) != len(positions):
            raise ValueError(
                f"row {index}: the text must begin with {sentence_token!r} and have it in front of every sentence, but "
                f"has {before!r:.40} before the first of {len(sentences)} sentences with {len(positions)} positions."
            )
        return {"sentences": sentences, "positions": positions}

    return dataset.map(
        split, with_indices=True, remove_columns=[text_column, positions_column], desc="Splitting marked text"
    )
