"""Put shuffled sentences back in order with any Hugging Face encoder.

Importing the package makes its classes known to `AutoConfig`, `AutoModel` and `pipeline("sentence-ordering")`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .auto import AutoModelForSentenceOrdering
    from .configuration_sentence_ordering import SentenceOrderingConfig, __version__
    from .data import DataCollatorForSentenceOrdering, ShuffledDocuments, prepare_dataset
    from .encoding_sentence_ordering import encode_documents
    from .metrics import compute_metrics
    from .modeling_sentence_ordering import SentenceOrderingModel, SentenceOrderingOutput
    from .pipeline_sentence_ordering import SentenceOrderingPipeline

# Where the public names are; each module is imported when one of its names is first asked for.
_MODULES = {
    "AutoModelForSentenceOrdering": "auto",
    "DataCollatorForSentenceOrdering": "data",
    "SentenceOrderingConfig": "configuration_sentence_ordering",
    "SentenceOrderingModel": "modeling_sentence_ordering",
    "SentenceOrderingOutput": "modeling_sentence_ordering",
    "SentenceOrderingPipeline": "pipeline_sentence_ordering",
    "ShuffledDocuments": "data",
    "__version__": "configuration_sentence_ordering",
    "compute_metrics": "metrics",
    "encode_documents": "encoding_sentence_ordering",
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


# Registering takes torch and most of transformers, which are seconds. Our own command is spared them until it has read
# its arguments, so that its help comes at once; its programs import `auto` themselves.
if Path(*sys.argv[:1]).name not in ("sentence-ordering", "sentence-ordering.exe"):
    import_module(".auto", __name__)
