"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO

STANDARD_STREAM = "-"

Name = str | os.PathLike[str]


@contextmanager
def write_whole(*names: Name) -> Iterator[list[BinaryIO]]:
    """Write files aside, and give them their names when all are whole; an error leaves what was there before.

    They get them one by one, in the order given. What a killed process left aside is overwritten by the next one that
    writes the same file. Pipes and devices are written to directly, because there is nothing to rename; so is what
    lies under `/dev`.

    Args:
        *names: The files; `"-"` is standard output.

    Yields:
        The files, open for bytes.

    Raises:
        OSError: If a file cannot be written; the error names it where the system tells which.

    Example:
        >>> with write_whole("metrics.json", "report.md") as (metrics, report):
        ...     metrics.write(b"{}")
        ...     report.write(b"Nothing was measured.")
    """
    files: list[BinaryIO] = []
    aside: dict[BinaryIO, tuple[Path, Path]] = {}
    try:
        for name in names:
            with _naming(name):
                files.append(_open(name, aside))
        yield files
        for name, file in zip(names, files, strict=True):
            with _naming(name):
                file.flush()
                if file in aside:
                    os.fsync(file.fileno())
        for temporary, target in aside.values():
            if target.exists():
                temporary.chmod(target.stat().st_mode)
            temporary.replace(target)
    finally:
        for temporary, _ in aside.values():
            temporary.unlink(missing_ok=True)
        # Not before: closed files are locked no more.
        for file in files:
            with suppress(OSError):  # What could not be written is known already.
                file.close()


def open_input(name: Name) -> BinaryIO:
    """Open a file, a pipe, or standard input, which stays open when the result is closed.

    Args:
        name: Its name; `"-"` is standard input.

    Returns:
        The file, open for bytes.

    Raises:
        OSError: If it cannot be opened, or standard input is closed.
    """
    if name == STANDARD_STREAM:
        return open(_descriptor(sys.stdin, "standard input"), "rb", closefd=False)
    return open(name, "rb")


def _open(name: Name, aside: dict[BinaryIO, tuple[Path, Path]]) -> BinaryIO:
    """Open one file for writing, and note under which name it is written aside."""
    if name == STANDARD_STREAM:
        return open(_descriptor(sys.stdout, "standard output"), "wb", closefd=False)
    path = Path(name)
    if (path.exists() and not path.is_file()) or path.is_relative_to("/dev"):
        return path.open("wb")
    # A link stays one: what it points to is replaced.
    target = path.resolve()
    temporary, file = _open_aside(target)
    aside[file] = (temporary, target)
    return file


def _open_aside(target: Path) -> tuple[Path, BinaryIO]:
    """Open the file that is written aside: the first one that no other process is writing.

    A lock says which those are, because it ends with the process that holds it, however that ends.
    """
    for number in count():
        temporary = target.with_name(f".{target.name}.{number}.tmp")
        file = open(temporary, "wb", opener=_open_as_it_is)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        except OSError:  # Some network filesystems know no locks.
            file.close()
            temporary.unlink(missing_ok=True)
            temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
            return temporary, temporary.open("xb")
        # Its last writer may have given it its name since it was opened.
        with suppress(FileNotFoundError):
            if os.path.samestat(temporary.stat(), os.fstat(file.fileno())):
                file.truncate()
                return temporary, file
        file.close()
    raise AssertionError("count() does not end")


def _open_as_it_is(name: str, flags: int) -> int:
    return os.open(name, flags & ~os.O_TRUNC, 0o666)


def _descriptor(stream: object, name: str) -> int:
    if stream is None:  # So Python says that it was closed from the start.
        raise OSError(errno.EBADF, "is closed", name)
    return stream.fileno()  # type: ignore[attr-defined]


@contextmanager
def _naming(name: Name) -> Iterator[None]:
    """Let errors name the file that was asked for, and not the one that is written aside."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        shown = "standard output" if name == STANDARD_STREAM else os.fspath(name)
        raise OSError(error.errno, error.strerror, shown) from error
