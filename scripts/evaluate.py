"""`python scripts/evaluate.py`: the same program as `sentence-ordering evaluate`."""

from sentence_ordering.commands.evaluate import main

if __name__ == "__main__":
    main()
