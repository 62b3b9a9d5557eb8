import copy
import json

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    BertModel,
    BigBirdConfig,
    BigBirdModel,
    GPT2Config,
    GPT2Model,
    ModernBertForMaskedLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
    T5ForConditionalGeneration,
    Trainer,
    TrainingArguments,
    pipeline,
)
from transformers.quantizers import HfQuantizer, register_quantization_config, register_quantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from sentence_ordering import AutoModelForSentenceOrdering, SentenceOrderingConfig, SentenceOrderingModel


def backbone_weights(model):
    return {name: weight for name, weight in model.state_dict().items() if "pooler" not in name}


@pytest.mark.parametrize("folder", ["encoder_folder", "masked_lm_folder"])
def test_backbone_has_the_pretrained_weights(folder, request):
    path = request.getfixturevalue(folder)
    expected = backbone_weights(AutoModel.from_pretrained(path))
    loaded = backbone_weights(AutoModelForSentenceOrdering.from_pretrained(path).backbone)
    assert loaded.keys() == expected.keys()
    assert all(loaded[name].equal(weight) for name, weight in expected.items())


def test_fields_of_the_encoder_may_be_given_with_an_orderer(orderer_folder):
    model = AutoModelForSentenceOrdering.from_pretrained(orderer_folder, hidden_dropout_prob=0.25, max_tokens=64)
    assert (model.config.max_tokens, model.backbone.embeddings.dropout.p) == (64, 0.25)
    with pytest.raises(TypeError, match="nonsense"):
        AutoModelForSentenceOrdering.from_pretrained(orderer_folder, nonsense=1)


def test_masked_lm_of_another_type_gives_its_encoder(modernbert_config, tmp_path):
    ModernBertForMaskedLM(modernbert_config).save_pretrained(tmp_path)
    model = AutoModelForSentenceOrdering.from_pretrained(tmp_path, sentence_token_id=1)
    expected = AutoModel.from_pretrained(tmp_path).state_dict()
    assert all(model.backbone.state_dict()[name].equal(weight) for name, weight in expected.items())


def test_encoder_of_an_encoder_decoder_is_restored(tmp_path):
    config = T5Config(vocab_size=99, d_model=32, num_layers=2, num_heads=2, d_kv=16, d_ff=64)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path / "t5")
    model = AutoModelForSentenceOrdering.from_pretrained(tmp_path / "t5", sentence_token_id=5)
    ids = torch.tensor([[5, 9, 8, 5, 7]])
    expected = T5EncoderModel.from_pretrained(tmp_path / "t5")(ids).last_hidden_state
    torch.testing.assert_close(model.backbone(ids).last_hidden_state, expected)
    model.save_pretrained(tmp_path / "orderer")
    loaded = AutoModelForSentenceOrdering.from_pretrained(tmp_path / "orderer")
    torch.testing.assert_close(loaded(ids).logits, model(ids).logits)


def test_sentence_token_is_the_tokenizers_cls_token(encoder_folder, tokenizer):
    model = AutoModelForSentenceOrdering.from_pretrained(encoder_folder)
    assert model.config.sentence_token_id == tokenizer.cls_token_id
    assert not model.training


def test_sentence_token_and_fields_may_be_given(encoder_folder):
    model = AutoModelForSentenceOrdering.from_pretrained(
        encoder_folder, sentence_token_id=2, pooling="mean", head_dropout=0.5, max_tokens=64, scale_positions=True
    )
    assert (model.config.sentence_token_id, model.config.pooling, model.config.max_tokens) == (2, "mean", 64)
    assert model.ordering_head.dropout.p == 0.5
    assert model.config.scale_positions


def test_other_keywords_go_to_the_backbone(encoder_folder):
    model = AutoModelForSentenceOrdering.from_pretrained(
        encoder_folder, dtype=torch.bfloat16, attn_implementation="eager", hidden_dropout_prob=0.5
    )
    assert model.backbone.dtype == torch.bfloat16
    assert model.backbone.config._attn_implementation == "eager"
    assert model.config.backbone_config.hidden_dropout_prob == 0.5


def test_tokenizer_without_cls_token_needs_the_sentence_token(bert_config, tokenizer, tmp_path):
    BertModel(bert_config).save_pretrained(tmp_path)
    tokenizer.__class__(tokenizer_object=tokenizer.backend_tokenizer, unk_token="[UNK]").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="has no special token that could stand in front of every sentence"):
        AutoModelForSentenceOrdering.from_pretrained(tmp_path)


def test_bos_token_stands_in_for_a_missing_cls_token(tokenizer, bert_config, tmp_path):
    BertModel(bert_config).save_pretrained(tmp_path)
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    tokenizer.__class__(
        tokenizer_object=tokenizer.backend_tokenizer, bos_token="[MASK]", sep_token="[SEP]", **special
    ).save_pretrained(tmp_path)
    model = AutoModelForSentenceOrdering.from_pretrained(tmp_path)
    assert model.config.sentence_token_id == tokenizer.mask_token_id


@pytest.mark.parametrize("others", ["unk_token", "pad_token"])
def test_token_that_also_pads_or_is_unknown_comes_last(others, tokenizer, bert_config, tmp_path):
    BertModel(bert_config).save_pretrained(tmp_path)
    special = {"unk_token": "[UNK]"} | {others: "[MASK]"}
    tokenizer.__class__(
        tokenizer_object=tokenizer.backend_tokenizer, bos_token="[MASK]", sep_token="[SEP]", **special
    ).save_pretrained(tmp_path)
    assert AutoModelForSentenceOrdering.from_pretrained(tmp_path).config.sentence_token_id == tokenizer.sep_token_id


@pytest.mark.parametrize("pad", [{}, {"pad_token": "<|endoftext|>"}])
def test_one_token_for_all_that_is_special_will_do(pad, bpe_tokenizer, tmp_path):
    end = "<|endoftext|>"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=copy.deepcopy(bpe_tokenizer.backend_tokenizer),
        **{"bos_token": end, "eos_token": end, "unk_token": end} | pad,
    )
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64}
    GPT2Model(GPT2Config(vocab_size=len(tokenizer), **sizes)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = AutoModelForSentenceOrdering.from_pretrained(tmp_path)
    assert model.config.sentence_token_id == tokenizer.bos_token_id
    order = pipeline("sentence-ordering", model=model, tokenizer=tokenizer)
    documents = [["He ate <|endoftext|> it.", "Tom bought a cake."], ["One.", "Two, and more.", "Three."]]
    alone = [order(document) for document in documents]
    assert [len(answer["order"]) for answer in alone] == [2, 3]
    if pad:
        together = order(documents, batch_size=2)
        for one, other in zip(alone, together, strict=True):
            assert one["scores"] == pytest.approx(other["scores"], abs=1e-5)


def test_new_head_knows_its_encoders_name_and_does_not_write_a_path(encoder_folder, tmp_path):
    model = AutoModelForSentenceOrdering.from_pretrained(encoder_folder)
    assert model.name_or_path == model.config.name_or_path == str(encoder_folder)
    model.save_pretrained(tmp_path)
    assert str(encoder_folder) not in (tmp_path / "config.json").read_text()


@register_quantization_config("pretended")
class PretendedConfig(QuantizationConfigMixin):
    def __init__(self, **kwargs):
        self.quant_method = "pretended"


@register_quantizer("pretended")
class PretendedQuantizer(HfQuantizer):
    """Changes no weight; only says that the model is quantised, as bitsandbytes does."""

    requires_calibration = False
    is_trainable = False

    def is_serializable(self, *args, **kwargs):
        return True

    def _process_model_after_weight_loading(self, model, **kwargs):
        model.is_loaded_in_4bit = True
        return model


def test_new_head_on_a_quantised_encoder_says_so_wherever_the_trainer_and_peft_ask(encoder_folder, tmp_path):
    model = AutoModelForSentenceOrdering.from_pretrained(encoder_folder, quantization_config=PretendedConfig())
    assert (model.is_quantized, model.quantization_method, model.is_loaded_in_4bit) == (True, "pretended", True)
    assert model.hf_quantizer is model.backbone.hf_quantizer
    with pytest.raises(ValueError, match="You cannot perform fine-tuning on purely quantized models"):
        Trainer(model, TrainingArguments(tmp_path / "output", use_cpu=True, report_to=[]))
    model.save_pretrained(tmp_path / "orderer")
    loaded = AutoModelForSentenceOrdering.from_pretrained(tmp_path / "orderer")
    assert (loaded.is_quantized, loaded.is_loaded_in_4bit) == (True, True)
    plain = AutoModelForSentenceOrdering.from_pretrained(encoder_folder)
    assert not hasattr(plain, "is_quantized")


def test_lines_that_the_error_shows_make_an_orderer_of_t5(unigram_tokenizer, tmp_path):
    name = str(tmp_path / "t5")
    special = {"pad_token": "<pad>", "unk_token": "<unk>", "eos_token": "</s>"}
    tokenizer = unigram_tokenizer.__class__(
        tokenizer_object=copy.deepcopy(unigram_tokenizer.backend_tokenizer), **special
    )
    tokenizer.save_pretrained(name)
    sizes = {"d_model": 32, "num_layers": 1, "num_heads": 2, "d_kv": 16, "d_ff": 64}
    T5ForConditionalGeneration(T5Config(vocab_size=len(tokenizer), **sizes)).save_pretrained(name)
    with pytest.raises(ValueError) as error:
        AutoModelForSentenceOrdering.from_pretrained(name)
    lines = [line.strip() for line in str(error.value).splitlines() if line.startswith("    ")]
    scope = {"tokenizer": tokenizer, "AutoModelForSentenceOrdering": AutoModelForSentenceOrdering}
    exec("\n".join(lines), scope)
    assert scope["model"].config.sentence_token_id == tokenizer.convert_tokens_to_ids("[CLS]") == len(tokenizer) - 1
    expected = pipeline("sentence-ordering", model=scope["model"], tokenizer=tokenizer)
    expected.save_pretrained(tmp_path / "orderer")
    document = ["He ate [CLS] it.", "Tom bought a cake."]
    loaded = pipeline("sentence-ordering", model=str(tmp_path / "orderer"))
    assert loaded(document)["scores"] == pytest.approx(expected(document)["scores"])


@pytest.mark.parametrize("model_type", ["bespoke", "bert"])
@pytest.mark.parametrize("trust", [None, True])
def test_encoder_with_code_of_its_own_is_refused(model_type, trust, encoder_folder, tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    code = "from transformers import BertConfig\nclass Bespoke(BertConfig):\n    model_type = " + repr(model_type)
    (tmp_path / "bespoke.py").write_text(code)
    config = {"model_type": model_type, "auto_map": {"AutoConfig": "bespoke.Bespoke"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    if model_type == "bert" and trust is None:
        pytest.skip("loaded with the code of transformers")
    message = "brings code of its own" if model_type == "bespoke" else "without `trust_remote_code`"
    with pytest.raises(ValueError, match=message):
        AutoModelForSentenceOrdering.from_pretrained(tmp_path, trust_remote_code=trust)


@pytest.mark.parametrize("model_type", ["bert", "modernbert"])
def test_missing_tokenizer_needs_the_sentence_token(model_type, bert_config, modernbert_config, tmp_path):
    # transformers makes up an empty tokenizer for the one, and raises for the other.
    encoder = BertModel(bert_config) if model_type == "bert" else ModernBertForMaskedLM(modernbert_config)
    encoder.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="No tokenizer could be loaded from .*sentence_token_id="):
        AutoModelForSentenceOrdering.from_pretrained(tmp_path)


def test_subfolder_holds_for_configuration_tokenizer_and_weights(encoder_folder, tokenizer):
    model = AutoModelForSentenceOrdering.from_pretrained(encoder_folder.parent, subfolder=encoder_folder.name)
    expected = AutoModelForSentenceOrdering.from_pretrained(encoder_folder)
    assert model.config.sentence_token_id == tokenizer.cls_token_id
    assert model.get_input_embeddings().weight.equal(expected.get_input_embeddings().weight)


def test_configuration_of_the_encoder_may_be_given(encoder_folder):
    config = AutoConfig.from_pretrained(encoder_folder, hidden_dropout_prob=0.5)
    model = AutoModelForSentenceOrdering.from_pretrained(encoder_folder, config=config)
    assert model.config.backbone_config.hidden_dropout_prob == 0.5


def test_a_given_configuration_is_adapted_before_the_encoder_is_built(tokenizer, tmp_path):
    config = BigBirdConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    BigBirdModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    given = AutoConfig.from_pretrained(tmp_path)
    model = AutoModelForSentenceOrdering.from_pretrained(tmp_path, config=given)
    assert model.backbone.attention_type == model.config.backbone_config.attention_type == "original_full"
    assert given.attention_type == "block_sparse"


def test_wrong_field_is_refused_before_loading_weights(encoder_folder, monkeypatch):
    monkeypatch.setattr(AutoModel, "from_pretrained", lambda *_, **__: pytest.fail("weights were loaded"))
    with pytest.raises(ValueError, match="'pooling' expected one of .*got max"):
        AutoModelForSentenceOrdering.from_pretrained(encoder_folder, pooling="max")


def test_saved_orderer_is_restored_whole(model, orderer_folder):
    loaded = AutoModelForSentenceOrdering.from_pretrained(orderer_folder)
    assert all(loaded.state_dict()[name].equal(weight) for name, weight in model.state_dict().items())
    assert loaded.config.sentence_token_id == model.config.sentence_token_id


def test_field_of_a_saved_orderer_may_be_overridden(orderer_folder):
    assert AutoModelForSentenceOrdering.from_pretrained(orderer_folder, max_tokens=32).config.max_tokens == 32


def test_from_config_of_an_encoder_and_of_an_orderer(bert_config):
    plain = AutoModelForSentenceOrdering.from_config(bert_config, sentence_token_id=3)
    own = AutoModelForSentenceOrdering.from_config(SentenceOrderingConfig(bert_config, sentence_token_id=3))
    for model in (plain, own):
        assert type(model) is SentenceOrderingModel
        assert model.config.sentence_token_id == 3


def test_from_config_refuses_fields_beside_a_whole_configuration(bert_config):
    config = SentenceOrderingConfig(bert_config, sentence_token_id=3)
    with pytest.raises(ValueError, match="pooling: set fields of a SentenceOrderingConfig on the configuration itself"):
        AutoModelForSentenceOrdering.from_config(config, pooling="mean")


def test_loading_info_is_given_for_encoders_and_orderers(encoder_folder, orderer_folder):
    for folder in (encoder_folder, orderer_folder):
        model, info = AutoModelForSentenceOrdering.from_pretrained(folder, output_loading_info=True)
        assert isinstance(model, SentenceOrderingModel)
        assert not info["missing_keys"]


def test_auto_class_has_no_instances():
    with pytest.raises(OSError, match="from_pretrained"):
        AutoModelForSentenceOrdering()
