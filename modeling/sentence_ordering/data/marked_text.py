"""Documents that are one string with a literal sentence token in front of every sentence."""

from __future__ import annotations

from typing import Any

from datasets import Dataset

from .caching import map_fingerprint
from .preparation import check_columns


def split_marked_text(
    dataset: Dataset,
    sentence_token: str,
    *,
    text_column: str = "text",
    positions_column: str = "so_targets",
) -> Dataset:
    """Read documents that are one string with a literal sentence token in front of every sentence.

    Args:
        dataset: Rows of such strings, and the place of each of their sentences in the natural order.
        sentence_token: The literal token, for example `"[CLS]"`.
        text_column: Column of the strings.
        positions_column: Column of the lists of 0-based places; -100 at their end is padding.

    Returns:
        The dataset with these two columns replaced by `sentences` and `positions`, for
        `prepare_dataset(..., positions_column="positions")`.

    Raises:
        ValueError: If a column is missing, or a text has another number of sentences than of places.

    Example:
        >>> marked = Dataset.from_list([{"text": "[CLS] He ate it. [CLS] Tom bought a cake.", "so_targets": [1, 0]}])
        >>> split_marked_text(marked, "[CLS]")[0]
        {'sentences': ['He ate it.', 'Tom bought a cake.'], 'positions': [1, 0]}
    """
    check_columns(dataset.column_names, text_column, positions_column)

    def split(row: dict[str, Any], index: int) -> dict[str, list[Any]]:
        before, *sentences = (part.strip() for part in row[text_column].split(sentence_token))
        positions = list(row[positions_column])
        while positions and positions[-1] == -100:
            positions.pop()
        if before or len(sentences) != len(positions):
            raise ValueError(
                f"row {index}: the text must begin with {sentence_token!r} and have it in front of every sentence, but "
                f"has {before!r:.40} before the first of {len(sentences)} sentences with {len(positions)} positions."
            )
        return {"sentences": sentences, "positions": positions}

    return dataset.map(
        split,
        with_indices=True,
        remove_columns=[text_column, positions_column],
        desc="Splitting marked text",
        new_fingerprint=map_fingerprint(dataset, "split_marked_text", sentence_token, text_column, positions_column),
    )
