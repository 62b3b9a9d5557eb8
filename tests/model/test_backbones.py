"""Every type of backbone in the table, on a tiny random model with a tokenizer made in code."""

import copy
import json
import logging
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
import transformers
from torch.multiprocessing import start_processes
from torch.nn.parallel import DistributedDataParallel
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    FunnelBaseModel,
    pipeline,
)

from sentence_ordering import AutoModelForSentenceOrdering, SentenceOrderingConfig, SentenceOrderingModel
from sentence_ordering.model.backbones import BACKBONES

TYPES = [name for name, backbone in BACKBONES.items() if name in CONFIG_MAPPING and backbone.refused is None]
REFUSED = [model_type for model_type, backbone in BACKBONES.items() if backbone.refused is not None]
POSITIONS = 40

COMMON = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": POSITIONS,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
DECODER = COMMON | {"num_key_value_heads": 1, "head_dim": 16, "attention_dropout": 0.0}
GEMMA = DECODER | {"query_pre_attn_scalar": 16}
T5 = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2, "dropout_rate": 0.0}
BART = {"d_model": 32, "max_position_embeddings": POSITIONS, "dropout": 0.0} | {
    f"{side}_{name}": value
    for side in ("encoder", "decoder")
    for name, value in {"layers": 2, "attention_heads": 2, "ffn_dim": 64}.items()
}
XLM = {
    "emb_dim": 32,
    "n_layers": 2,
    "n_heads": 2,
    "max_position_embeddings": POSITIONS,
    "dropout": 0.0,
    "attention_dropout": 0.0,
}
# The fields of a tiny configuration, where the common ones will not do.
TINY = {
    "bart": BART,
    "big_bird": COMMON | {"block_size": 4, "num_random_blocks": 1},
    "canine": COMMON | {"local_transformer_stride": 8, "num_hash_buckets": 64},
    "convbert": COMMON | {"embedding_size": 32, "conv_kernel_size": 3, "head_ratio": 1},
    "deberta": COMMON | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False},
    "deberta-v2": COMMON | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": POSITIONS}
    | {"dropout": 0.0, "attention_dropout": 0.0},
    "electra": COMMON | {"embedding_size": 32},
    "eurobert": DECODER | {"num_key_value_heads": 2},
    "flaubert": XLM,
    "funnel": {"block_sizes": [1, 1, 1], "d_model": 32, "n_head": 2, "d_head": 16, "d_inner": 64}
    | {"hidden_dropout": 0.0, "attention_dropout": 0.0},
    "gemma2": GEMMA,
    "gemma3_text": GEMMA,
    "gpt2": COMMON | {"embd_pdrop": 0.0, "attn_pdrop": 0.0, "resid_pdrop": 0.0},
    "led": BART | {"max_encoder_position_embeddings": POSITIONS, "attention_window": 4},
    "llama": DECODER,
    "longformer": COMMON | {"attention_window": 4},
    "longt5": T5,
    "luke": COMMON | {"entity_vocab_size": 10, "entity_emb_size": 8},
    "mbart": BART,
    "mistral": DECODER,
    "mobilebert": COMMON | {"embedding_size": 32, "intra_bottleneck_size": 32, "true_hidden_size": 32},
    "modernbert": COMMON | {"local_attention": 8, "global_attn_every_n_layers": 2},
    "modernbert-decoder": COMMON | {"local_attention": 8, "global_attn_every_n_layers": 2},
    "mt5": T5,
    "nystromformer": COMMON | {"num_landmarks": 4, "segment_means_seq_len": POSITIONS},
    "qwen2": DECODER,
    "qwen3": DECODER,
    "rembert": COMMON | {"input_embedding_size": 32, "output_embedding_size": 32},
    "squeezebert": COMMON | {"embedding_size": 32, "num_attention_heads": 4},
    "t5": T5,
    "umt5": T5,
    "xlm": XLM,
    "xlnet": {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64, "dropout": 0.0},
    "xmod": COMMON | {"languages": ["en_XX"], "default_language": "en_XX"},
    "yoso": COMMON | {"use_expectation": True},
}
HEADS = (
    (MODEL_FOR_MASKED_LM_MAPPING, AutoModelForMaskedLM),
    (MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM),
    (MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING, AutoModelForSeq2SeqLM),
)


def tiny_config(model_type, tokenizer):
    tokens = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    if model_type in ("xlm", "flaubert"):
        tokens |= {"pad_index": tokenizer.pad_token_id}
    config = AutoConfig.for_model(model_type, **tokens, **TINY.get(model_type, COMMON))
    config.architectures = []
    return config


def shake(model):
    """Move all parameters away from zero and one, so that each of them matters."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model


def save_checkpoint(model, tokenizer, folder):
    shake(model).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=TYPES)
def case(request, tokenizer, tmp_path_factory):
    """A type with its line of the table, its tiny configuration, and a base checkpoint."""
    torch.manual_seed(0)
    config = tiny_config(request.param, tokenizer)
    folder = save_checkpoint(AutoModel.from_config(config), tokenizer, tmp_path_factory.mktemp("base"))
    return SimpleNamespace(model_type=request.param, backbone=BACKBONES[request.param], config=config, folder=folder)


def load(case, **kwargs):
    torch.manual_seed(0)
    return AutoModelForSentenceOrdering.from_pretrained(case.folder, **kwargs)


@pytest.fixture(scope="module")
def loaded(case):
    """The wrapped checkpoint; a test that changes it takes a copy."""
    return load(case)


@pytest.fixture
def model(loaded):
    return copy.deepcopy(loaded)


def row(length, seed=0):
    """Token ids of two sentences, behind the sentence token 1."""
    ids = torch.randint(5, 500, (1, length), generator=torch.Generator().manual_seed(seed))
    ids[0, 0] = ids[0, length // 2] = 1
    return ids


def padded_batch(pad_token_id):
    ids = torch.cat([torch.nn.functional.pad(row(10), (0, 6), value=pad_token_id), row(16, seed=1)])
    mask = torch.ones_like(ids)
    mask[0, 10:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def assert_weights_of(encoder, model):
    expected = encoder.state_dict()
    if encoder.config.is_encoder_decoder:
        expected |= encoder.get_encoder().state_dict()
    weights = {name: weight for name, weight in model.backbone.state_dict().items() if "pooler" not in name}
    assert weights
    assert [name for name, weight in weights.items() if not weight.equal(expected[name])] == []


def test_base_checkpoint_gives_its_weights(case, model):
    assert_weights_of(AutoModel.from_pretrained(case.folder), model)
    assert model.config.sentence_token_id == 1


def test_checkpoint_with_a_head_gives_its_encoders_weights(case, tokenizer, tmp_path):
    usual = (head for mapping, head in HEADS if type(case.config) in mapping)
    head = next(usual, AutoModelForSequenceClassification).from_config(copy.deepcopy(case.config))
    save_checkpoint(head, tokenizer, tmp_path)
    assert_weights_of(AutoModel.from_pretrained(tmp_path), AutoModelForSentenceOrdering.from_pretrained(tmp_path))


def test_padding_changes_scores_of_marked_types_only(case, model, tokenizer):
    with torch.no_grad():
        batched = model(**padded_batch(tokenizer.pad_token_id)).logits
        difference = (batched[:1] - model(row(10)).logits).abs().max()
    assert (difference > 1e-5) == case.backbone.padding_sensitive == model.config.padding_sensitive


def test_every_sentence_sees_the_whole_document(model):
    ids = row(12)
    changed = ids.clone()
    changed[0, -1] += 1
    with torch.no_grad():
        assert (model(ids).logits - model(changed).logits)[0, 0].abs() > 1e-6


def test_nothing_is_kept_for_later_tokens(model):
    with torch.no_grad():
        assert not {"past_key_values", "mems"} & model.backbone.eval()(row(12)).keys()


def test_training_step_changes_backbone_and_head(model):
    before = copy.deepcopy(model.state_dict())
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model.train()
    model(row(12), labels=torch.tensor([[1, 0]])).loss.backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    optimizer.step()
    changed = {name for name in trainable if not model.state_dict()[name].equal(before[name])}
    assert "ordering_head.projection.weight" in changed
    assert len(changed) > 0.5 * len(trainable)


def test_saved_orderer_scores_the_same(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = AutoModelForSentenceOrdering.from_pretrained(tmp_path)
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert [name for name, parameter in loaded.named_parameters() if not parameter.requires_grad] == frozen
    with torch.no_grad():
        torch.testing.assert_close(loaded(row(12)).logits, model(row(12)).logits)


def test_pipeline_scores_are_those_of_single_documents(case, model, tokenizer):
    order = pipeline("sentence-ordering", model=model, tokenizer=tokenizer)
    documents = [["He ate it.", "Tom bought a cake."], ["He felt sick in the end.", "Then he ate it all.", "Tom."], []]
    for answer, document in zip(order(documents, batch_size=3), documents, strict=True):
        assert answer["scores"] == pytest.approx(order(document)["scores"], abs=1e-5)


def test_longest_row_is_the_backbones_true_limit(case, model):
    limit = model.config.position_limit
    with torch.no_grad():
        if limit is None:
            assert model(row(3 * POSITIONS)).logits.shape == (1, 2)
            return
        assert model(row(limit)).logits.shape == (1, 2)
        with pytest.raises(ValueError, match=f"Rows of {limit + 1} tokens exceed the {limit} positions"):
            model(row(limit + 1))
        with pytest.raises((IndexError, RuntimeError, ValueError)):
            model.backbone(input_ids=torch.full((1, limit + 1), 7))


def test_bfloat16_scores_are_close(case, model):
    if "no bfloat16" in case.backbone.note:
        pytest.skip("its own code in transformers fails in bfloat16")
    autocast = "autocast" in case.backbone.note
    low = load(case) if autocast else load(case, dtype=torch.bfloat16)
    low.ordering_head.load_state_dict(model.ordering_head.state_dict())
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        scores = low(row(12)).logits
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, model(row(12)).logits, atol=0.1, rtol=0.1)


def test_activation_checkpointing_keeps_the_loss(model):
    if not type(model.backbone).supports_gradient_checkpointing:
        pytest.skip("transformers has none for this type")
    model.train()
    inputs = {"input_ids": row(12), "labels": torch.tensor([[1, 0]])}
    expected = model(**inputs).loss
    model.activation_checkpointing_enable()
    loss = model(**inputs).loss
    loss.backward()
    torch.testing.assert_close(loss, expected)
    assert next(model.backbone.parameters()).grad.abs().sum() > 0


def test_attention_implementations_agree(case, model):
    other = {"sdpa": "eager", "eager": "sdpa"}[model.backbone.config._attn_implementation]
    if other == "sdpa" and not type(model.backbone)._supports_sdpa:
        with pytest.raises(ValueError, match="does not support an attention implementation"):
            load(case, attn_implementation="sdpa")
        return
    again = load(case, attn_implementation=other)
    assert again.backbone.config._attn_implementation == other
    batch = padded_batch(case.config.pad_token_id)
    torch.testing.assert_close(again(**batch).logits, model(**batch).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("model_type", REFUSED)
def test_types_that_cannot_work_are_refused_before_loading(model_type, tokenizer, tmp_path):
    AutoConfig.for_model(model_type).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f"A '{model_type}' model cannot be a backbone: it (needs|gives)"):
        AutoModelForSentenceOrdering.from_pretrained(tmp_path)


def test_every_line_of_a_tiny_configuration_is_of_a_type_in_the_table():
    assert {name for name in TINY if name in CONFIG_MAPPING} <= set(TYPES)


@pytest.mark.parametrize(
    ("model_type", "message"),
    [
        (
            "convbert",
            "The scores of a 'convbert' backbone depend on padding: they are exact only in batches of rows of",
        ),
        ("splinter", "'splinter' is not among the backbones that this package has been tested with"),
    ],
)
def test_user_is_warned_once(model_type, message, tokenizer, caplog):
    transformers.utils.logging.warning_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            AutoModelForSentenceOrdering.from_config(tiny_config(model_type, tokenizer), sentence_token_id=1)
    [warning] = [record.getMessage() for record in caplog.records]
    assert warning.startswith(message)


def test_decoder_stays_bidirectional_when_it_is_saved_twice(tokenizer, tmp_path):
    model = AutoModelForSentenceOrdering.from_config(tiny_config("llama", tokenizer), sentence_token_id=1)
    for folder in (tmp_path / "1", tmp_path / "2"):
        model.save_pretrained(folder)
        assert json.loads((folder / "config.json").read_text())["backbone_config"]["is_causal"] is False
        model = AutoModelForSentenceOrdering.from_pretrained(folder)
        assert model.backbone.config.is_causal is False


@pytest.mark.parametrize("model_type", ["big_bird", "nystromformer"])
@pytest.mark.parametrize("pretrained", [False, True])
def test_full_attention_does_not_depend_on_earlier_rows(model_type, pretrained, tokenizer, tmp_path):
    config = tiny_config(model_type, tokenizer)
    if pretrained:
        save_checkpoint(AutoModel.from_config(config), tokenizer, tmp_path)
        model = AutoModelForSentenceOrdering.from_pretrained(tmp_path)
    else:
        model = shake(AutoModelForSentenceOrdering.from_config(config, sentence_token_id=1)).eval()
    with torch.no_grad():
        scores = model(row(POSITIONS)).logits
        model(row(6))
        torch.testing.assert_close(model(row(POSITIONS)).logits, scores)


def test_a_big_bird_given_as_an_object_has_full_attention(tokenizer):
    config = tiny_config("big_bird", tokenizer)
    backbone = AutoModel.from_config(type(config)(**config.to_dict() | {"attention_type": "block_sparse"}))
    model = SentenceOrderingModel(SentenceOrderingConfig(backbone.config, sentence_token_id=1), backbone)
    assert model.backbone.attention_type == "original_full"
    assert model.backbone.encoder.layer[0].attention.attention_type == "original_full"


@pytest.mark.parametrize("model_type", ["longformer", "led"])
def test_sentence_tokens_have_global_attention(model_type, tokenizer):
    # Two layers of a window of 4 tokens reach 4 tokens far, so that only the sentence token can connect the ends.
    model = AutoModelForSentenceOrdering.from_config(tiny_config(model_type, tokenizer), sentence_token_id=1).eval()
    ids = row(30)
    changed = ids.clone()
    changed[0, 10] += 1
    assert (model(ids).logits - model(changed).logits).abs().min() > 1e-7
    ids[ids == 1] = 2
    changed[changed == 1] = 2
    model.config.sentence_token_id = 3
    first, second = (model.backbone(input_ids=x).last_hidden_state[0, 0] for x in (ids, changed))
    torch.testing.assert_close(first, second)


def test_long_rows_are_cut_to_what_a_rotary_backbone_was_made_for_unless_asked_otherwise(tokenizer):
    config = SentenceOrderingConfig(tiny_config("modernbert", tokenizer), sentence_token_id=1)
    assert (config.position_limit, config.token_limit) == (None, POSITIONS)
    config.max_tokens = 3 * POSITIONS
    assert config.token_limit == 3 * POSITIONS


def test_backbone_without_a_state_for_every_token_is_refused(tokenizer):
    backbone = FunnelBaseModel(tiny_config("funnel", tokenizer))
    model = SentenceOrderingModel(SentenceOrderingConfig(backbone.config, sentence_token_id=1), backbone)
    with pytest.raises(ValueError, match="FunnelBaseModel cannot be a backbone: it gives no hidden state for every"):
        model(row(12))


def test_encoder_of_images_is_refused():
    with pytest.raises(ValueError, match="ViTModel cannot be a backbone: it is no encoder of text alone"):
        AutoModelForSentenceOrdering.from_config(AutoConfig.for_model("vit", num_hidden_layers=1), sentence_token_id=1)


def train_two_steps(rank, tokenizer, meeting):
    """Train every type beside another process."""
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    ids = torch.tensor([[1, 20 + rank, 21, 22, 1, 30, 31, 32, 33, 34]])
    for model_type in TYPES:
        model = AutoModelForSentenceOrdering.from_config(tiny_config(model_type, tokenizer), sentence_token_id=1)
        parallel = DistributedDataParallel(model.train(), find_unused_parameters=False)
        for _ in range(2):
            parallel(input_ids=ids, labels=torch.tensor([[1, 0]])).loss.backward()
    del parallel  # The last to let go of the group waits for its threads, which may wait for Python's lock.
    dist.destroy_process_group()


@pytest.mark.slow
def test_every_type_trains_on_two_processes_without_a_search_for_unused_parameters(tokenizer, tmp_path):
    """DistributedDataParallel stops at the second step if a parameter got no gradient in the first."""
    start_processes(train_two_steps, (tokenizer, tmp_path / "meeting"), nprocs=2, start_method="fork")
