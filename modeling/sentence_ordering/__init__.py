"""Put shuffled sentences back in order with any Hugging Face encoder.

Importing the package makes its classes known to `AutoConfig`, `AutoModel` and `pipeline("sentence-ordering")`; it
takes no time, because the classes themselves are imported when somebody asks for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import import_when_asked
from .registration import register

if TYPE_CHECKING:
    from .auto import AutoModelForSentenceOrdering
    from .data import DataCollatorForSentenceOrdering, ShuffledDocuments, load_documents, prepare_dataset
    from .model.configuration_sentence_ordering import SentenceOrderingConfig, __version__
    from .model.encoding import encode_documents
    from .model.modeling_sentence_ordering import SentenceOrderingModel, SentenceOrderingOutput
    from .model.pipeline_sentence_ordering import SentenceOrderingPipeline
    from .training.calibration import fit_confidence
    from .training.callback import OrderingCallback
    from .training.linear_probe import fit_head
    from .training.metrics import compute_metrics
    from .training.model_card import write_model_card
    from .training.trainer import ordering_trainer

# Where the public names are; each module is imported when one of its names is first asked for.
_MODULES = {
    "AutoModelForSentenceOrdering": "auto",
    "DataCollatorForSentenceOrdering": "data",
    "OrderingCallback": "training.callback",
    "SentenceOrderingConfig": "model.configuration_sentence_ordering",
    "SentenceOrderingModel": "model.modeling_sentence_ordering",
    "SentenceOrderingOutput": "model.modeling_sentence_ordering",
    "SentenceOrderingPipeline": "model.pipeline_sentence_ordering",
    "ShuffledDocuments": "data",
    "__version__": "model.configuration_sentence_ordering",
    "compute_metrics": "training.metrics",
    "encode_documents": "model.encoding",
    "fit_confidence": "training.calibration",
    "fit_head": "training.linear_probe",
    "load_documents": "data",
    "ordering_trainer": "training.trainer",
    "prepare_dataset": "data",
    "write_model_card": "training.model_card",
}

__all__ = [
    "AutoModelForSentenceOrdering",
    "DataCollatorForSentenceOrdering",
    "OrderingCallback",
    "SentenceOrderingConfig",
    "SentenceOrderingModel",
    "SentenceOrderingOutput",
    "SentenceOrderingPipeline",
    "ShuffledDocuments",
    "__version__",
    "compute_metrics",
    "encode_documents",
    "fit_confidence",
    "fit_head",
    "load_documents",
    "ordering_trainer",
    "prepare_dataset",
    "write_model_card",
]


__getattr__ = import_when_asked(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register()
