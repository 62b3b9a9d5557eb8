"""`python scripts/order.py`: the same program as `sentence-ordering order`."""

import sys

if __name__ == "__main__":
    # The command's own name, by which the package knows that nothing but its programs needs it: help comes at once.
    sys.argv[0] = "sentence-ordering"

from sentence_ordering.commands.order import main  # noqa: E402

if __name__ == "__main__":
    main()
