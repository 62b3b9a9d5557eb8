"""The model card of an exported orderer."""

from __future__ import annotations

from pathlib import Path

CARD = """---
library_name: onnx
tags:
- sentence-ordering
- onnx
{base_model}---
# {name}: a sentence orderer as an ONNX graph

Exported from {source} by `sentence-ordering export`{option}. The graph and its weights take {megabytes:.1f} MB. On
three short documents its scores differ from those of the original by up to {difference:.1g}.{precision}

```python
from transformers import pipeline
from sentence_ordering.onnx.orderer import ORTModelForSentenceOrdering

order = pipeline("sentence-ordering", model=ORTModelForSentenceOrdering.from_pretrained("{name}"))
print(order(["Then he ate it.", "So he bought a cake.", "Tom was hungry."])["sentences"])
```

Inputs of `model.onnx` are `input_ids` and `attention_mask`, 64-bit integers of shape (documents, tokens). In front of
every sentence stands the token {sentence_token_id}. Its output is `logits`, float32 of shape (documents, sentences): a
lower score is read earlier, and slots without a sentence hold -100. {limit}
"""
INT8 = """ The encoder's weights are of 8 bits, and what they are multiplied with is rounded to 8 bits at every call."""


def format_card(
    source: str,
    name: str,
    size: int,
    difference: float,
    *,
    int8: bool,
    sentence_token_id: int,
    token_limit: int | None,
) -> str:
    """Write the card.

    Args:
        source: Folder or Hub id of the orderer that was exported.
        name: Name of the folder that it was exported to.
        size: Bytes of the graph, weights included.
        difference: The greatest difference of a score from the original's, on some documents.
        int8: Whether the weights are of 8 bits.
        sentence_token_id: Id of the token in front of every sentence.
        token_limit: Longest row in tokens; `None` for any length.

    Returns:
        Markdown.
    """
    is_folder = Path(source).exists()  # Of this machine, whose paths are nobody's business.
    on_hub = "/" in source and not is_folder
    return CARD.format(
        base_model=f"base_model: {source}\n" if on_hub else "",
        name=name,
        source=f"`{Path(source).name if is_folder else source}`",
        option=" with `--int8`" if int8 else "",
        megabytes=size / 1e6,
        difference=difference,
        precision=INT8 if int8 else "",
        sentence_token_id=sentence_token_id,
        limit="A row may be of any length." if token_limit is None else f"A row may have {token_limit} tokens.",
    )
