"""The model as a graph: without labels the number of sentences is known only when it runs."""

import pytest
import torch
from torch.export import Dim

from sentence_ordering.model import modeling_sentence_ordering as modeling

ROWS = torch.tensor([[1, 20, 21, 1, 22, 23, 1, 30], [1, 20, 21, 22, 1, 23, 30, 31]])
LONGER = torch.tensor([[1, 9, 1, 8, 1, 7, 1, 6, 1, 5], [1, 9, 8, 7, 6, 5, 4, 3, 2, 1], [1, 9, 8, 1, 6, 5, 1, 3, 1, 2]])


@pytest.fixture(scope="module")
def encoder_folder(shallow_encoder_folder):
    return shallow_encoder_folder


@pytest.mark.filterwarnings("ignore:While compiling, we found certain side effects:UserWarning")
@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("strict", [False, True])
def test_exported_program_scores_any_number_of_documents_tokens_and_sentences(strict, pooling, model):
    model.config.pooling = pooling
    shape = {0: Dim("documents"), 1: Dim("tokens", max=256)}
    inputs = {"input_ids": ROWS, "attention_mask": torch.ones_like(ROWS)}
    program = torch.export.export(model, (), inputs, strict=strict, dynamic_shapes=dict.fromkeys(inputs, shape))
    for rows in (ROWS, LONGER):
        scores = program.module()(input_ids=rows, attention_mask=torch.ones_like(rows)).logits
        torch.testing.assert_close(scores, model(rows).logits)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit.trace.*:DeprecationWarning")
def test_trace_warns_that_it_freezes_the_number_of_sentences(model, monkeypatch):
    warnings = []
    monkeypatch.setattr(modeling.logger, "warning_once", warnings.append)
    traced = torch.jit.trace(model, (ROWS, torch.ones_like(ROWS)), strict=False)
    assert warnings and all("only for as many sentences as its example has" in warning for warning in warnings)
    assert traced(LONGER, torch.ones_like(LONGER))["logits"].shape == (3, 3)
    warnings.clear()
    model(ROWS)
    assert warnings == []
