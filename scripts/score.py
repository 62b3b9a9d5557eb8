"""`python scripts/score.py`: the same program as `sentence-ordering score`."""

from sentence_ordering.commands.score import main

if __name__ == "__main__":
    main()
