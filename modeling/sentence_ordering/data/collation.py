"""Batches of prepared documents, padded to the longest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from ..model.configuration_sentence_ordering import SentenceOrderingConfig
from ..model.encoding import IGNORE_INDEX, require_pad_token


class DataCollatorForSentenceOrdering:
    """Pads prepared documents to the longest of a batch, and their labels with -100.

    Args:
        tokenizer: The backbone's tokenizer, for its pad token.
        config: The model's configuration, for its sentence token.
        pad_to_multiple_of: Round the padded number of tokens up to a multiple of this, as far as the backbone has
            positions.

    Raises:
        ValueError: If the tokenizer has no pad token.

    Example:
        >>> collate = DataCollatorForSentenceOrdering(tokenizer, model.config)
        >>> collate([{"input_ids": [101, 7592, 101, 2088], "labels": [1, 0]}])["labels"]
        tensor([[1, 0]])
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        config: SentenceOrderingConfig,
        *,
        pad_to_multiple_of: int | None = None,
    ) -> None:
        self.pad_token_id = require_pad_token(tokenizer)
        self.sentence_token_id = config.sentence_token_id
        self.position_limit = config.position_limit
        self.pad_to_multiple_of = pad_to_multiple_of or 1

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Collate rows with `input_ids` and, for all or none of them, `labels`.

        Args:
            rows: Prepared documents.

        Returns:
            `input_ids` and `attention_mask` of shape `(batch, tokens)`, `labels` of shape `(batch, sentences)`; int64.

        Raises:
            TypeError: If documents were not prepared.
            ValueError: If a row has another number of labels than of sentence tokens, or only some rows have labels.
        """
        if not all(isinstance(row, Mapping) and "input_ids" in row for row in rows):
            raise TypeError(
                "Documents have to be prepared before they are batched. With a trainer: `prepare_dataset(documents, "
                "trainer.processing_class, trainer.model.config)`."
            )
        input_ids = [list(row["input_ids"]) for row in rows]
        longest = max(map(len, input_ids))
        width = longest + -longest % self.pad_to_multiple_of
        if self.position_limit is not None:
            width = max(longest, min(width, self.position_limit))
        batch = {
            "input_ids": _pad(input_ids, self.pad_token_id, width),
            "attention_mask": _pad([[1] * len(ids) for ids in input_ids], 0, width),
        }
        labelled = sum("labels" in row for row in rows)
        if labelled not in (0, len(rows)):
            raise ValueError(
                f"Only {labelled} of the batch's {len(rows)} rows have labels. Leave them out of all rows, or give the "
                f"others labels of {IGNORE_INDEX}."
            )
        if labelled:
            labels = [list(row["labels"]) for row in rows]
            for index, (ids, positions) in enumerate(zip(input_ids, labels, strict=True)):
                sentences = ids.count(self.sentence_token_id)
                if len(positions) != sentences:
                    raise ValueError(
                        f"Row {index} of the batch has {len(positions)} labels but {sentences} sentence tokens (id "
                        f"{self.sentence_token_id}) among its {len(ids)} tokens. Prepare it with `prepare_dataset`."
                    )
            batch["labels"] = _pad(labels, IGNORE_INDEX, max(map(len, labels)))
        return batch


def _pad(rows: list[list[int]], value: int, width: int) -> torch.Tensor:
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])
