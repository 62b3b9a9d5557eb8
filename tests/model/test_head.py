"""What acts on modules when they are called has to act on the head, and on what it is given."""

import pytest
import torch
from accelerate import cpu_offload, disk_offload, dispatch_model
from safetensors.torch import save_file
from torch.ao.quantization import quantize_dynamic

from sentence_ordering import AutoModelForSentenceOrdering, SentenceOrderingModel

ROWS = torch.tensor([[1, 20, 21, 1, 22, 23, 1, 30], [1, 20, 21, 22, 1, 23, 30, 31]])
PLACES = {"backbone": "cpu", "ordering_head": "cpu"}


@pytest.fixture
def scores(model):
    with torch.no_grad():
        return model(ROWS).logits


def by_device_map(folder, places, tmp_path):
    places = PLACES | places
    return AutoModelForSentenceOrdering.from_pretrained(folder, device_map=places, offload_folder=tmp_path / "offload")


@pytest.mark.parametrize(
    "offload",
    [
        lambda folder, _: cpu_offload(AutoModelForSentenceOrdering.from_pretrained(folder)),
        lambda folder, tmp: disk_offload(AutoModelForSentenceOrdering.from_pretrained(folder), tmp / "offload"),
        lambda folder, tmp: dispatch_model(
            AutoModelForSentenceOrdering.from_pretrained(folder),
            PLACES | {"ordering_head": "disk"},
            main_device="cpu",
            offload_dir=tmp / "offload",
        ),
        lambda folder, tmp: by_device_map(folder, {"ordering_head": "disk"}, tmp),
        lambda folder, tmp: by_device_map(folder, {"backbone": "disk"}, tmp),
        lambda folder, tmp: by_device_map(folder, {"backbone": "disk", "ordering_head": "disk"}, tmp),
    ],
    ids=["cpu", "disk", "dispatch", "head by map", "backbone by map", "both by map"],
)
def test_offloaded_model_scores_as_before(offload, scores, orderer_folder, tmp_path):
    model = offload(orderer_folder, tmp_path)
    with torch.no_grad():
        for _ in range(2):
            torch.testing.assert_close(model(ROWS).logits, scores)


@pytest.mark.parametrize("embeddings", ["cpu", "disk"])
def test_new_head_around_an_offloaded_encoder_is_whole(embeddings, encoder_folder, tmp_path):
    places = {"embeddings": embeddings, "encoder": "disk", "pooler": "disk"}
    torch.manual_seed(0)
    model = AutoModelForSentenceOrdering.from_pretrained(
        encoder_folder, device_map=places, offload_folder=tmp_path / "offload"
    )
    torch.manual_seed(0)
    expected = AutoModelForSentenceOrdering.from_pretrained(encoder_folder)
    with torch.no_grad():
        torch.testing.assert_close(model(ROWS).logits, expected(ROWS).logits)
    assert model.hf_device_map["backbone.encoder"] == "disk"


def test_hooks_fire_and_replacements_of_the_projection_are_used(model, scores):
    seen = []
    model.ordering_head.projection.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(ROWS)
    assert seen == [torch.float32]
    model.ordering_head.projection = torch.nn.Sequential(model.ordering_head.projection, Negative())
    # Scores of three sentences are centred on 1, those of two on a half.
    expected = torch.where(scores == -100, -100, torch.tensor([[2.0], [1.0]]) - scores)
    torch.testing.assert_close(model(ROWS).logits, expected)


class Negative(torch.nn.Module):
    def forward(self, values):
        return -values


def test_model_can_be_quantised_whole(model, scores):
    quantised = quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    assert "Quantized" in type(quantised.ordering_head.projection).__name__ + str(quantised.ordering_head.projection)
    with torch.no_grad():
        torch.testing.assert_close(quantised(ROWS).logits, scores, atol=0.05, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_casts_of_the_model_leave_the_head_in_float32(dtype, model):
    model.to(dtype)
    assert model.backbone.dtype == dtype
    assert model.ordering_head.projection.weight.dtype == model(ROWS).logits.dtype == torch.float32


def test_casts_do_not_round_the_head(model):
    before = model.ordering_head.projection.weight.clone()
    assert model.bfloat16().ordering_head.projection.weight.equal(before)


def test_a_head_without_weights_of_its_own_stays_new(model, orderer_folder):
    weights = model.state_dict()
    without = {name: weight for name, weight in weights.items() if not name.startswith("ordering_head")}
    model.load_state_dict(without, strict=False)
    assert model.ordering_head.is_new
    model.load_state_dict(weights)
    assert not model.ordering_head.is_new
    save_file(without, orderer_folder / "model.safetensors", {"format": "pt"})
    assert SentenceOrderingModel.from_pretrained(orderer_folder).ordering_head.is_new
