import importlib.util
from pathlib import Path

import pytest
from transformers import CONFIG_MAPPING

from sentence_ordering.model.backbones import BACKBONES

SCRIPT = Path(__file__).parents[1] / "scripts" / "backbones.py"


@pytest.mark.skipif(not set(BACKBONES) <= set(CONFIG_MAPPING), reason="an older transformers lacks some types")
def test_table_of_the_docs_is_current():
    spec = importlib.util.spec_from_file_location("backbones", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.BEGIN + script.render() + script.END in script.PAGE.read_text()
