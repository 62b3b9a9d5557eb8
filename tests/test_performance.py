"""What keeps accelerators busy: nothing in our forward and backward passes waits for a value."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from sentence_ordering import SentenceOrderingConfig, SentenceOrderingModel


class TrivialBackbone(PreTrainedModel):
    """An embedding: a real encoder's attention mask may synchronise by itself."""

    _supports_sdpa = True

    def __init__(self, config):
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)

    def forward(self, input_ids, attention_mask=None, return_dict=True):
        return BaseModelOutput(last_hidden_state=self.embedding(input_ids))


def train_once(device, bert_config, pooling):
    config = SentenceOrderingConfig(bert_config, sentence_token_id=1, pooling=pooling, scale_positions=True)
    with torch.device(device):
        model = SentenceOrderingModel(config, backbone=TrivialBackbone(bert_config))
        input_ids = torch.tensor([[1, 7, 8, 1, 9], [1, 6, 0, 0, 0]])
        labels = torch.tensor([[1, 0], [0, -100]])
        mask = (input_ids != 0).long()

    def step():
        model(input_ids=input_ids, attention_mask=mask, labels=labels, num_items_in_batch=3).loss.backward()

    step()  # Kernels are loaded at their first use, which may synchronise.
    return step


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_training_step_looks_at_no_value(pooling, bert_config):
    # Fake tensors have shapes only: whatever would wait for a value on a GPU raises here.
    with FakeTensorMode():
        train_once("cpu", bert_config, pooling)()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_training_step_does_not_synchronise_with_the_gpu(pooling, bert_config):
    step = train_once("cuda", bert_config, pooling)
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
