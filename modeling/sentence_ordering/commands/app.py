"""Open a page on which orderers are tried out.

    sentence-ordering app
    sentence-ordering app --model output/quickstart general

Paste a text, shuffle its sentences and see in which order a model puts them and how sure it is, lock sentences at
places, find the place of a new one, compare two models, or try to do better yourself. Texts stay on this machine, and
the page loads nothing from elsewhere. It needs gradio, which comes with `pip install 'sentence-ordering[app]'`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from ..orderers import DEFAULT_ORDERER
from .arguments import parse_arguments


@dataclass
class AppArguments:
    """What to show, and where."""

    model: list[str] = field(
        default_factory=lambda: [DEFAULT_ORDERER],
        metadata={
            "help": "Orderers to choose from: general and general-base, which come with the package, folders or Hub "
            "ids; the page takes others too."
        },
    )
    port: int | None = field(default=None, metadata={"help": "Port; by default the first free one from 7860."})
    open_browser: bool = field(default=True, metadata={"help": "Open the page in the browser."})


def main(argv: list[str] | None = None) -> None:
    """Serve the page until the process is interrupted.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    [args] = parse_arguments((AppArguments,), argv, "app", __doc__)
    try:
        from ..app.asking import load_orderer
        from ..app.page import open_page
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        sys.exit("The page needs gradio: `pip install 'sentence-ordering[app]'`.")
    try:
        for model in args.model:
            load_orderer(model)  # What cannot be loaded is told here, before there is a page.
        open_page(args.model, port=args.port, open_browser=args.open_browser)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
