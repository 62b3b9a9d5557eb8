"""`python scripts/train.py`, also under torchrun: the same program as `sentence-ordering train`."""

from sentence_ordering.commands.train import main

if __name__ == "__main__":
    main()
