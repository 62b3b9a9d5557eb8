"""Makes transformers know our classes, without importing either before it is needed.

Importing them takes torch and most of transformers, which are seconds: more than the help of a program may take. So our
classes are entered in the tables of transformers as its own are, by names from which it imports a class when somebody
asks for it. Each table is filled in right after the module of transformers that holds it has been executed, and nothing
else is imported then: other modules may be half executed, or be waited for by another thread.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from .orderers import DEFAULT_ORDERER, locate_orderer

NAME = "sentence-ordering"  # of the model type, and of the pipeline's task
PACKAGE = __name__.partition(".")[0]


def _name_configuration(module: Any) -> None:
    module.CONFIG_MAPPING_NAMES[NAME] = "SentenceOrderingConfig"
    # Where transformers looks for the classes of a model type, `-` read as `_`.
    sys.modules[f"transformers.models.{PACKAGE}"] = sys.modules[PACKAGE]


def _name_model(module: Any) -> None:
    module.MODEL_MAPPING_NAMES[NAME] = "SentenceOrderingModel"


def _name_pipeline(module: Any) -> None:
    module.SUPPORTED_TASKS[NAME] = {
        "impl": f"{PACKAGE}.SentenceOrderingPipeline",
        "pt": (module.AutoModel,),
        "default": {"model": (locate_orderer(DEFAULT_ORDERER), None)},
        "type": "text",
    }


TABLES = {
    "transformers.models.auto.configuration_auto": _name_configuration,
    "transformers.models.auto.modeling_auto": _name_model,
    "transformers.pipelines": _name_pipeline,
}


class _TableFinder(MetaPathFinder):
    """Finds the modules of `TABLES` by the other finders, and has their loaders fill in the tables."""

    def __init__(self) -> None:
        self.awaited = dict(TABLES)

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        fill_in = self.awaited.pop(fullname, None)
        if fill_in is None:
            return None
        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        loader: Any = spec.loader

        def execute(module: ModuleType) -> None:
            del loader.exec_module  # The class's own is back.
            loader.exec_module(module)
            fill_in(module)

        loader.exec_module = execute
        return spec


def register() -> None:
    """Make our classes known to `AutoConfig`, `AutoModel` and `pipeline`: now, or when these are imported."""
    if TABLES.keys() & sys.modules.keys():
        import_module(".model", PACKAGE)
    else:
        sys.meta_path.insert(0, _TableFinder())
