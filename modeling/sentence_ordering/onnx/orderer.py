"""`ORTModelForSentenceOrdering`: an exported orderer, for the same pipeline, without the weights in torch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
import torch
from transformers import AutoConfig
from transformers.utils import cached_file

from ..model.configuration_sentence_ordering import SentenceOrderingConfig
from ..model.modeling_sentence_ordering import SentenceOrderingOutput, hub_keywords, hub_place

GRAPH = "model.onnx"


class ORTModelForSentenceOrdering:
    """An orderer that onnxruntime runs; what `sentence-ordering export` writes.

    Args:
        session: The session of its graph.
        config: The orderer's configuration.
        name_or_path: Where it comes from; the pipeline loads the tokenizer from there.

    Example:
        >>> order = pipeline("sentence-ordering", model=ORTModelForSentenceOrdering.from_pretrained("output/onnx"))
        >>> order(["Then he ate it.", "Tom bought a cake."])["sentences"]
        ['Tom bought a cake.', 'Then he ate it.']
    """

    # What the pipeline asks of a model: inputs and outputs are torch's, on the processor.
    device = torch.device("cpu")
    dtype = torch.float32
    input_modalities = ("text",)

    def __init__(
        self, session: onnxruntime.InferenceSession, config: SentenceOrderingConfig, name_or_path: str
    ) -> None:
        self.session = session
        self.config = config
        self.name_or_path = name_or_path
        # Besides its name, where it was loaded from; the tokenizer lies there, too.
        self.loaded_from: Mapping[str, Any] = {}

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        *,
        num_threads: int | None = None,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        **kwargs: Any,
    ) -> ORTModelForSentenceOrdering:
        """Load an exported orderer.

        Args:
            name: A folder or Hub id.
            num_threads: Threads of an operation; by default onnxruntime's own choice, a thread a core.
            providers: What onnxruntime runs it on, as `onnxruntime.get_available_providers` names it.
            **kwargs: Where files come from: `revision`, `subfolder`, `token`, ...

        Returns:
            The orderer.

        Raises:
            OSError: If there is no `model.onnx`.
            TypeError: If a keyword is unknown.
        """
        hub_kwargs = hub_keywords(kwargs)
        if unknown := kwargs.keys() - hub_kwargs.keys():
            raise TypeError(f"An exported orderer is loaded without {', '.join(map(repr, sorted(unknown)))}.")
        graph = cached_file(name, GRAPH, **hub_kwargs)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads or 0
        session = onnxruntime.InferenceSession(graph, options, providers=list(providers))
        model = cls(session, AutoConfig.from_pretrained(name, **hub_kwargs), str(name))
        model.loaded_from = hub_place(hub_kwargs)
        return model

    def __call__(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs: Any
    ) -> SentenceOrderingOutput:
        """Score the sentences of a batch of documents.

        Args:
            input_ids: Token ids of shape `(batch, tokens)`; every sentence begins with the sentence token.
            attention_mask: 1 for tokens, 0 for padding, same shape; by default no padding.
            **kwargs: Refused, by name: the graph has no other inputs.

        Returns:
            `logits` of shape `(batch, sentences)`, as those of `SentenceOrderingModel`.

        Raises:
            TypeError: If there are other inputs.
        """
        if kwargs:
            raise TypeError(f"An exported orderer has no input {', '.join(map(repr, kwargs))}.")
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        feeds = {"input_ids": input_ids, "attention_mask": attention_mask}
        [logits] = self.session.run(None, {name: rows.cpu().numpy().astype(np.int64) for name, rows in feeds.items()})
        return SentenceOrderingOutput(logits=torch.from_numpy(logits))

    def eval(self) -> ORTModelForSentenceOrdering:
        """Return the model: it has no other mode."""
        return self

    def to(self, device: Any) -> ORTModelForSentenceOrdering:
        """Return the model, which stays where onnxruntime runs it."""
        return self

    def can_generate(self) -> bool:
        """Tell that no text is generated."""
        return False
