"""`python scripts/insert.py`: the same program as `sentence-ordering insert`."""

from sentence_ordering.commands.insert import main

if __name__ == "__main__":
    main()
