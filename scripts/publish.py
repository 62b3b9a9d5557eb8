"""`python scripts/publish.py`: the same program as `sentence-ordering publish`."""

from sentence_ordering.commands.publish import main

if __name__ == "__main__":
    main()
