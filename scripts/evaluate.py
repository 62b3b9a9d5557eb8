"""`python scripts/evaluate.py`: the same program as `sentence-ordering evaluate`."""

import sys

if __name__ == "__main__":
    # The command's own name, by which the package knows that nothing but its programs needs it: help comes at once.
    sys.argv[0] = "sentence-ordering"

from sentence_ordering.commands.evaluate import main  # noqa: E402

if __name__ == "__main__":
    main()
