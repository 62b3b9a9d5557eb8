"""Put shuffled sentences back in order with any Hugging Face encoder.

Importing the package makes its classes known to `AutoConfig`, `AutoModel` and `pipeline("sentence-ordering")`.
"""

from __future__ import annotations

from .auto import AutoModelForSentenceOrdering, register
from .configuration_sentence_ordering import SentenceOrderingConfig, __version__
from .data import DataCollatorForSentenceOrdering, ShuffledDocuments, prepare_dataset
from .encoding_sentence_ordering import encode_documents
from .metrics import compute_metrics
from .modeling_sentence_ordering import SentenceOrderingModel, SentenceOrderingOutput
from .pipeline_sentence_ordering import SentenceOrderingPipeline

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

register()
