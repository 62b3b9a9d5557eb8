"""Put shuffled sentences back in order with any Hugging Face encoder.

Importing the package makes its classes known to `AutoConfig`, `AutoModel` and `pipeline("sentence-ordering")`; it
takes no time, because the classes themselves are imported when somebody asks for them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .registration import register

if TYPE_CHECKING:
    from .auto import AutoModelForSentenceOrdering
    from .data import DataCollatorForSentenceOrdering, ShuffledDocuments, prepare_dataset
    from .model.configuration_sentence_ordering import SentenceOrderingConfig, __version__
    from .model.encoding import encode_documents
    from .model.modeling_sentence_ordering import SentenceOrderingModel, SentenceOrderingOutput
    from .model.pipeline_sentence_ordering import SentenceOrderingPipeline
    from .training.metrics import compute_metrics

# Where the public names are; each module is imported when one of its names is first asked for.
_MODULES = {
    "AutoModelForSentenceOrdering": "auto",
    "DataCollatorForSentenceOrdering": "data",
    "SentenceOrderingConfig": "model.configuration_sentence_ordering",
    "SentenceOrderingModel": "model.modeling_sentence_ordering",
    "SentenceOrderingOutput": "model.modeling_sentence_ordering",
    "SentenceOrderingPipeline": "model.pipeline_sentence_ordering",
    "ShuffledDocuments": "data",
    "__version__": "model.configuration_sentence_ordering",
    "compute_metrics": "training.metrics",
    "encode_documents": "model.encoding",
    "prepare_dataset": "data",
}

__all__ = [
    "AutoModelForSentenceOrdering",
    "DataCollatorForSentenceOrdering",
    "SentenceOrderingConfig",
    "SentenceOrderingModel",
    "SentenceOrderingOutput",
    "SentenceOrderingPipeline",
    "ShuffledDocuments",
    "__version__",
    "compute_metrics",
    "encode_documents",
    "prepare_dataset",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register()
