"""`python scripts/app.py`: the same program as `sentence-ordering app`."""

from sentence_ordering.commands.app import main

if __name__ == "__main__":
    main()
