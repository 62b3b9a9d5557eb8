r"""Draw the training corpus of a general orderer from corpora of many kinds.

    python scripts/mix.py configuration/mixtures/general.yaml --input_dir corpora/kinds \
        --output corpora/general/train.jsonl

The input folder holds NAME.train.jsonl for every kind that the YAML file names, a document a line: {"id": ...,
"sentences": [...]}. The same file, seed and documents give the same corpus.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from sentence_ordering.data.formats import read_files
from sentence_ordering.data.mixture import Mixture, mix_kinds


def main(argv: list[str] | None = None) -> None:
    """Read the kinds, draw, and write the corpus.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mixture", type=Path, help="YAML file with the fields of a mixture")
    parser.add_argument("--input_dir", type=Path, required=True, help="folder of NAME.train.jsonl")
    parser.add_argument("--split", default="train", help="draw from NAME.SPLIT.jsonl")
    parser.add_argument("--seed", type=int, help="draw with this seed instead of the file's")
    parser.add_argument("--output", type=Path, required=True, help="JSONL file to write")
    args = parser.parse_args(argv)
    try:
        fields = yaml.safe_load(args.mixture.read_text(encoding="utf-8"))
        mixture = Mixture(**fields | ({} if args.seed is None else {"seed": args.seed}))
        kinds = {kind: read(args.input_dir / f"{kind}.{args.split}.jsonl") for kind in mixture.documents}
        rows = mix_kinds(kinds, mixture)
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        sys.exit(str(error))
    sentences = sum(len(row["sentences"]) for row in rows)
    print(f"{len(rows)} documents of {len(kinds)} kinds, {sentences} sentences  {args.output}")


def read(path: Path) -> list[dict[str, Any]]:
    """Read a kind's documents; raises what `read_files` does, and a ValueError for a row that is no document."""
    rows = []
    for where, row in read_files([str(path)]):
        if "sentences" not in row:
            raise ValueError(f'{where}: the object has no "sentences", only the keys {list(row)}.')
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
