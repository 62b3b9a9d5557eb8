"""The structure of a model card, which `publish` checks before anything is sent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .printing import one_line

# The Hub's tasks for text; it ignores other values of a card's `pipeline_tag`, and has none for sentence ordering.
PIPELINE_TAGS = (
    "feature-extraction",
    "fill-mask",
    "question-answering",
    "sentence-similarity",
    "summarization",
    "table-question-answering",
    "text-classification",
    "text-generation",
    "text-ranking",
    "token-classification",
    "translation",
    "zero-shot-classification",
)


def check_card(path: Path) -> None:
    """End the process if a model card is not structured as the Hub and the users of an orderer need it.

    The Hub's own check is a request to it, which the upload makes.

    Args:
        path: The card.
    """
    import yaml
    from huggingface_hub import ModelCard
    from huggingface_hub.repocard import metadata_load

    try:
        metadata = metadata_load(path)
        if metadata is None:
            sys.exit(f"{path} does not begin with metadata, which is YAML between two lines of `---`.")
        card = ModelCard.load(path)
    except (TypeError, ValueError, yaml.YAMLError) as error:
        sys.exit(f"{path} has metadata that cannot be read: {one_line(error)}")
    faults = list(_card_faults(metadata, card.text))
    if faults:
        sys.exit(f"{path}: {'; '.join(faults)}.")


def _card_faults(metadata: dict[str, Any], body: str) -> Iterator[str]:
    if metadata.get("library_name") != "transformers":
        yield "the metadata lacks `library_name: transformers`"
    tags = metadata.get("tags")
    if not isinstance(tags, list) or "sentence-ordering" not in tags:
        yield "the metadata lacks sentence-ordering in the list `tags`"
    tag = metadata.get("pipeline_tag")
    if tag is not None and tag not in PIPELINE_TAGS:
        yield f"`pipeline_tag: {tag}` is none of the Hub's for text (leave it out, or take text-ranking)"
    if not body.strip():
        yield "there is no text below the metadata"
