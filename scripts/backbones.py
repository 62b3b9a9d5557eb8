"""Write the table of docs/backbones.md from the package's own.

python scripts/backbones.py
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from transformers import AutoConfig

from sentence_ordering import SentenceOrderingConfig
from sentence_ordering.model.backbones import BACKBONES, Backbone, after_padding, after_two

PAGE = Path(__file__).parents[1] / "docs" / "backbones.md"
BEGIN, END = "<!-- begin: scripts/backbones.py -->\n", "<!-- end: scripts/backbones.py -->\n"


def describe(backbone: Backbone, runs_any_length: bool) -> str:
    """Say in words what is special about a backbone.

    Args:
        backbone: Its line of the table.
        runs_any_length: Does it run on rows of any length?

    Returns:
        Phrases, separated by semicolons; "nothing" for a generic encoder.
    """
    if backbone.refused is not None:
        return f"cannot be a backbone: {backbone.refused}"
    counts_from_padding = backbone.position_limit in (after_padding, after_two)
    phrases = {
        "a decoder, made to look both ways": backbone.bidirectional,
        "relative or rotary positions: `max_tokens` may be larger": runs_any_length,
        "the first positions are never used: of 514, 512 are left for tokens": counts_from_padding,
        "global attention at the sentence tokens": backbone.global_attention,
        "scores depend on padding: warns, and the pipeline runs documents without": backbone.padding_sensitive,
        backbone.note: bool(backbone.note),
    }
    return "; ".join(phrase for phrase, holds in phrases.items() if holds) or "nothing"


def render() -> str:
    """Render the table, one row for all types with the same specialities.

    Returns:
        Markdown.
    """
    rows = defaultdict(list)
    for model_type, backbone in BACKBONES.items():
        if backbone.refused is not None:
            rows[describe(backbone, False)].append(f"`{model_type}`")
            continue
        config = SentenceOrderingConfig(AutoConfig.for_model(model_type), sentence_token_id=0)
        tokens = "any" if config.token_limit is None else str(config.token_limit)
        rows[describe(backbone, config.position_limit is None)].append(f"`{model_type}` {tokens}")
    lines = ["| type, and tokens in its default configuration | what is special |", "|---|---|"]
    ranked = sorted(rows.items(), key=lambda row: (row[0].startswith("cannot"), -len(row[1])))
    return "\n".join([*lines, *(f"| {', '.join(types)} | {special} |" for special, types in ranked)]) + "\n"


def main() -> None:
    """Replace what stands between the markers."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(before + BEGIN + render() + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
