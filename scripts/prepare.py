"""`python scripts/prepare.py`: the same program as `sentence-ordering prepare`."""

from sentence_ordering.commands.prepare import main

if __name__ == "__main__":
    main()
