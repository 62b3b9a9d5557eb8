"""`pipeline("sentence-ordering")`: documents in, reading orders out."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import Pipeline
from transformers.pipelines.pt_utils import KeyDataset
from transformers.utils import logging

from .encoding_sentence_ordering import check_document, encode_rows, invert_order, require_pad_token, sort_scores

logger = logging.get_logger(__name__)

Document = list[str] | tuple[str, ...] | dict[str, Any]


class SentenceOrderingPipeline(Pipeline):
    """Put the sentences of documents into reading order.

    A document is a list of sentences, or a dict with such a list under `"sentences"`. The answer is always a
    permutation of what was given; no sentence is lost.

    Example:
        >>> order = pipeline("sentence-ordering", model="user/orderer")
        >>> order(["Then he ate it.", "Tom bought a cake."])["sentences"]
        ['Tom bought a cake.', 'Then he ate it.']
    """

    model: Any
    tokenizer: Any
    _load_tokenizer: Any = True
    _load_image_processor: Any = False
    _load_feature_extractor: Any = False
    _load_processor: Any = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.model.config.model_type != "sentence-ordering":
            raise ValueError(
                f"The pipeline needs a trained sentence orderer, but the model is a {self.model.config.model_type!r} "
                "model. Train one first: `AutoModelForSentenceOrdering.from_pretrained(...)` puts a new head on it."
            )
        self.model.eval()
        if self.tokenizer.padding_side != "right":
            # Padding in front would move a document's positions, and so its scores, from batch to batch.
            self.tokenizer = copy.copy(self.tokenizer)
            self.tokenizer.padding_side = "right"
        self._warned_of_shortening = False

    def __call__(  # type: ignore[override]
        self, inputs: Any, **kwargs: Any
    ) -> dict[str, Any] | list[dict[str, Any]] | Iterator[dict[str, Any]]:
        """Order one document, a batch of documents, or a stream of documents.

        Args:
            inputs: One document, a list of documents, a generator or other iterator of documents, a
                `datasets.Dataset` with a column `sentences`, or a torch dataset of documents such as `KeyDataset`.
            **kwargs: `batch_size` (default 1), `num_workers`.

        Returns:
            For one document a dict, for a list of documents a list of dicts, for a stream an iterator of dicts:
            `order`, `sentences` and `scores` in reading order (`order[k]` is the index of the input sentence read
            k-th, `scores` are floats, lowest first), and `positions` in input order (`positions[i]` is the place of
            input sentence i).

        Raises:
            TypeError: If a document is no list of strings.
            ValueError: If a document has more sentences than a row may have tokens, or documents cannot be batched
                because the tokenizer has no pad token.
        """
        if (kwargs.get("batch_size") or self._batch_size or 1) > 1:
            require_pad_token(self.tokenizer)
        if isinstance(inputs, str):
            raise TypeError(
                f"A document is a list of sentences, but this is one string: {inputs!r:.80}. Split it into sentences "
                "first, and pass the list."
            )
        if _is_document(inputs):
            return super().__call__({"sentences": self._sentences_of(inputs, "document")}, **kwargs)
        if isinstance(inputs, (list, tuple)):
            documents = [
                {"sentences": self._sentences_of(document, f"document {index}")}
                for index, document in enumerate(inputs)
            ]
            return super().__call__(documents, **kwargs)
        return super().__call__(self._as_stream(inputs), **kwargs)

    def _sanitize_parameters(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if kwargs:
            raise TypeError(f"The sentence-ordering pipeline has no parameter {', '.join(map(repr, kwargs))}.")
        return {}, {}, {}

    def _sentences_of(self, document: Any, where: str) -> list[str]:
        if isinstance(document, dict):
            if "sentences" not in document:
                raise ValueError(f'{where}: has no "sentences", only the keys {list(document)}.')
            document = document["sentences"]
        check_document(document, where, self.model.config)
        return list(document)

    def _as_stream(self, inputs: Any) -> Dataset[Any] | Iterator[dict[str, Any]]:
        """Turn a stream of documents into what the base class streams: a torch dataset or a generator."""
        columns = getattr(inputs, "column_names", None)
        if columns is not None and "sentences" not in columns:
            raise ValueError(
                f"The dataset has no column 'sentences', only {columns}. Rename one with `rename_column`, or pass "
                "`KeyDataset(dataset, column)`."
            )
        if hasattr(inputs, "__len__") and len(inputs) == 0:
            inputs = ()  # The base class would look at the first document.
        if isinstance(inputs, Dataset):
            return inputs
        if columns is not None and hasattr(inputs, "select"):
            return KeyDataset(inputs, "sentences")
        if not isinstance(inputs, Iterable):
            raise TypeError(f"Expected a document or documents, but got a {type(inputs).__name__}: {inputs!r:.80}")
        return (
            {"sentences": self._sentences_of(document, f"document {index}")} for index, document in enumerate(inputs)
        )

    def preprocess(self, document: Document) -> dict[str, Any]:  # type: ignore[override]
        """Encode one document as tensors of shape `(1, tokens)`."""
        sentences = self._sentences_of(document, "document")
        # A document without sentences is given one blank sentence to run on, so that it can stand in any batch.
        rows, (tokens_cut,) = encode_rows([sentences or [""]], self.tokenizer, self.model.config)
        if tokens_cut and not self._warned_of_shortening:
            self._warned_of_shortening = True
            logger.warning(
                f"A document of {len(sentences)} sentences exceeds the model's {self.model.config.token_limit} tokens "
                f"by {tokens_cut}: its longest sentences were shortened, none was dropped. Further documents are "
                "shortened without a warning."
            )
        input_ids = torch.tensor(rows)
        return {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids), "sentences": sentences}

    def _forward(self, model_inputs: dict[str, Any]) -> dict[str, Any]:  # type: ignore[override]
        sentences = model_inputs.pop("sentences")
        # The logits come first: the base class reads the batch size off the first value.
        return {"logits": self.model(**model_inputs).logits, "sentences": sentences}

    def postprocess(self, model_outputs: dict[str, Any]) -> dict[str, Any]:  # type: ignore[override]
        """Sort one document's scores, of shape `(1, slots)`."""
        sentences = model_outputs["sentences"]
        scores = model_outputs["logits"][0, : len(sentences)].float().numpy()
        order = sort_scores(scores, np.ones(len(sentences), dtype=bool))
        return {
            "order": order.tolist(),
            "sentences": [sentences[index] for index in order],
            "scores": scores[order].tolist(),
            "positions": invert_order(order).tolist(),
        }


def _is_document(inputs: Any) -> bool:
    """Tell one document from a list of documents, by its first item; an empty list is an empty document."""
    if isinstance(inputs, dict):
        return True
    return isinstance(inputs, (list, tuple)) and not (inputs and isinstance(inputs[0], (list, tuple, dict)))


__all__ = ["SentenceOrderingPipeline"]
