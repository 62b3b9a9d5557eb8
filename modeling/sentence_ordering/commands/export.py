"""Write an orderer as an ONNX graph, which onnxruntime runs (extra `onnx`).

    sentence-ordering export --model output/quickstart --output_dir output/quickstart-onnx --int8

The folder has the graph, the orderer's configuration and tokenizer, and a model card, and is an orderer for the
pipeline: `ORTModelForSentenceOrdering.from_pretrained(folder)`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from ..orderers import DEFAULT_ORDERER
from .arguments import parse_arguments
from .loading import explain, require_encoder
from .printing import print_text


@dataclass
class ExportArguments:
    """What to export where."""

    output_dir: str = field(metadata={"help": "Folder to write to."})
    model: str = field(
        default=DEFAULT_ORDERER,
        metadata={"help": "Orderer: general or general-base, which come with the package, or a folder or a Hub id."},
    )
    int8: bool = field(default=False, metadata={"help": "Round the weights to 8 bits."})

    def __post_init__(self) -> None:
        if not self.output_dir:
            raise ValueError("--output_dir is empty. Name a folder.")


def main(argv: list[str] | None = None) -> None:
    """Export an orderer, and print what was written.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    (args,) = parse_arguments((ExportArguments,), argv, "export", __doc__)
    try:
        from ..onnx.exporting import count_bytes, export_onnx
    except ModuleNotFoundError as error:
        if error.name not in ("onnx", "onnxruntime", "onnxscript"):
            raise
        sys.exit("Exporting needs the extra `onnx`: `pip install 'sentence-ordering[onnx]'`.")
    try:
        require_encoder(args.model)
        difference = export_onnx(args.model, args.output_dir, int8=args.int8)
    except (OSError, ValueError) as error:
        sys.exit(explain(args.model, error))
    megabytes = count_bytes(args.output_dir) / 1e6
    print_text(f"{args.output_dir}: {megabytes:.1f} MB; scores differ from the original's by up to {difference:.1g}\n")
