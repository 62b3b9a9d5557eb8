"""All that travels with a saved orderer.

Importing anything of it registers the classes with transformers, and lets their code travel with every save.
"""

from __future__ import annotations

from transformers import CONFIG_MAPPING, AutoConfig, AutoModel
from transformers.pipelines import PIPELINE_REGISTRY

from ..orderers import DEFAULT_ORDERER, locate_orderer
from .configuration_sentence_ordering import SentenceOrderingConfig
from .modeling_sentence_ordering import SentenceOrderingModel
from .pipeline_sentence_ordering import SentenceOrderingPipeline

TASK = "sentence-ordering"

SentenceOrderingConfig.register_for_auto_class()
SentenceOrderingModel.register_for_auto_class("AutoModel")
if SentenceOrderingConfig.model_type not in CONFIG_MAPPING:  # else it is there by name, see `registration`
    AutoConfig.register(SentenceOrderingConfig.model_type, SentenceOrderingConfig)
    AutoModel.register(SentenceOrderingConfig, SentenceOrderingModel)
PIPELINE_REGISTRY.supported_tasks.pop(TASK, None)  # It may be there by name, too, and would be warned of.
PIPELINE_REGISTRY.register_pipeline(
    TASK,
    pipeline_class=SentenceOrderingPipeline,
    pt_model=AutoModel,
    default={"model": (locate_orderer(DEFAULT_ORDERER), None)},
    type="text",
)
