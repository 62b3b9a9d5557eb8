"""`python scripts/order.py`: the same program as `sentence-ordering order`."""

from sentence_ordering.commands.order import main

if __name__ == "__main__":
    main()
