"""`python -m sentence_ordering`: the same command as `sentence-ordering`."""

from __future__ import annotations

from .commands import main

if __name__ == "__main__":
    main()
