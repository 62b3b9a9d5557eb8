import pytest
from transformers import AutoTokenizer, pipeline

from sentence_ordering import AutoModelForSentenceOrdering
from sentence_ordering.commands.train import MINILM, default_backbone

pytestmark = [
    pytest.mark.real_weights,
    pytest.mark.skipif(default_backbone() == MINILM, reason="the extra `demo` is not installed"),
]


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_order_is_the_same_for_every_batch_size(pooling, stories):
    model = AutoModelForSentenceOrdering.from_pretrained(default_backbone(), pooling=pooling)
    order = pipeline("sentence-ordering", model=model, tokenizer=AutoTokenizer.from_pretrained(default_backbone()))
    expected = order(stories[:24])
    for answer, single in zip(order(stories[:24], batch_size=7), expected, strict=True):
        assert answer["order"] == single["order"]
        assert answer["scores"] == pytest.approx(single["scores"], abs=1e-5, rel=1e-5)
