"""The programs, run by `sentence-ordering PROGRAM`, also launched by the files in `scripts/`."""

from __future__ import annotations

import sys
from importlib import import_module

PROGRAMS = {
    "prepare": "make a corpus with splits from files of documents",
    "train": "train an orderer on a corpus",
    "evaluate": "measure an orderer on a corpus",
    "order": "put the sentences of documents in order",
    "score": "tell how well documents are ordered",
    "insert": "find the places of sentences in documents",
    "export": "write an orderer as an ONNX graph",
    "app": "open a page on which orderers are tried out",
    "card": "show the model card of an orderer",
    "publish": "upload an orderer to the Hub",
}


def main(argv: list[str] | None = None) -> None:
    """Run the program that the first argument names.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] not in PROGRAMS:
        usage = "\n".join(f"  {name:10}{purpose}" for name, purpose in PROGRAMS.items())
        print(f"usage: sentence-ordering PROGRAM ...\n\n{usage}\n\nsentence-ordering PROGRAM --help tells more.")
        sys.exit(0 if arguments in (["--help"], ["-h"]) else 2)
    import_module(f".{arguments[0]}", __name__).main(arguments[1:])
