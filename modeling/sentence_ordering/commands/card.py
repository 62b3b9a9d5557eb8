"""Show the model card of an orderer.

sentence-ordering card general
"""

from __future__ import annotations

import argparse
import sys

from ..orderers import DEFAULT_ORDERER, read_card
from .printing import print_text


def main(argv: list[str] | None = None) -> None:
    """Print the model card of an orderer that comes with the package, or that lies in a folder.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    parser = argparse.ArgumentParser(
        prog="sentence-ordering card",
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model",
        nargs="?",
        default=DEFAULT_ORDERER,
        metavar="MODEL",
        help=f"name or folder; by default {DEFAULT_ORDERER}",
    )
    args = parser.parse_args(argv)
    try:
        print_text(read_card(args.model))
    except OSError as error:
        sys.exit(f"{args.model} has no model card here: {error.strerror}.")
    except UnicodeDecodeError as error:
        sys.exit(f"{args.model} has a model card that is not UTF-8 ({error.reason} at byte {error.start}).")
