"""Printing that costs no result: it comes when all files are written, and what stands in its way ends it quietly."""

from __future__ import annotations

import os
import sys
from typing import IO, Any


def print_text(text: str) -> None:
    """Print text to standard output at once, with escapes for what its encoding does not know.

    Nothing is printed if standard output is closed, and it is no error if its reader has left. If it cannot be written
    for another reason, the disk being full for example, the process ends with one line that says so.

    Args:
        text: The text, with its line ends.
    """
    if sys.stdout is None:  # So Python says that it was closed from the start.
        return
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
    except OSError as error:
        discard(sys.stdout)
        sys.exit(f"Cannot write to standard output: {error.strerror}.")


def one_line(error: object) -> str:
    """Write an error's message in one line."""
    return " ".join(str(error).split())


def discard(stream: IO[Any]) -> None:
    """Let a stream lead nowhere, so that Python does not fail to write the rest of it when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
