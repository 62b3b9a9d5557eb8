import json
import math

import pytest
from transformers import AutoConfig, BertConfig, LxmertConfig, Qwen3Config, RobertaConfig, T5Config, XLNetConfig

from sentence_ordering import SentenceOrderingConfig, SentenceOrderingModel


def test_every_field_survives_saving_and_loading(bert_config, tmp_path):
    config = SentenceOrderingConfig(
        bert_config,
        sentence_token_id=7,
        max_tokens=100,
        pooling="mean",
        head_dropout=0.25,
        loss_reduction="document",
        scale_positions=True,
    )
    config.save_pretrained(tmp_path)
    for loaded in (SentenceOrderingConfig.from_pretrained(tmp_path), AutoConfig.from_pretrained(tmp_path)):
        assert type(loaded) is SentenceOrderingConfig
        assert (loaded.sentence_token_id, loaded.max_tokens, loaded.pooling) == (7, 100, "mean")
        assert (loaded.head_dropout, loaded.loss_type, loaded.loss_reduction) == (0.25, "mse", "document")
        assert loaded.scale_positions is True
        assert type(loaded.backbone_config) is BertConfig
        assert loaded.backbone_config.to_dict() == bert_config.to_dict()


def test_unknown_fields_survive_saving_and_loading(bert_config, tmp_path):
    SentenceOrderingConfig(bert_config, sentence_token_id=7, from_the_future=3).save_pretrained(tmp_path)
    assert SentenceOrderingConfig.from_pretrained(tmp_path).from_the_future == 3


def test_backbone_may_be_given_as_dict():
    config = SentenceOrderingConfig({"model_type": "bert", "hidden_size": 48}, sentence_token_id=7)
    assert config.backbone_config.hidden_size == 48


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"backbone_config": None}, "backbone_config must be an encoder's configuration or its dict, but is None"),
        ({"backbone_config": {"hidden_size": 8}}, 'backbone_config has no "model_type"'),
        ({"backbone_config": {"model_type": "brt"}}, "model_type='brt', which this version of transformers does not"),
        ({"sentence_token_id": None}, "sentence_token_id=None is no token id.*tokenizer.cls_token_id"),
        ({"scale_positions": True, "loss_type": "list_mle"}, 'scale_positions=True goes with loss_type="mse"'),
        ({"target_range": -4}, "target_range=-4 must be a positive number, or None"),
        ({"target_range": float("nan")}, "target_range=nan must be"),
        ({"target_range": "4"}, "target_range='4' must be"),
        ({"target_range": True}, "target_range=True must be"),
        ({"sentence_ordering_version": 5}, "sentence_ordering_version=5 must be a string"),
    ],
)
def test_impossible_values_are_refused_at_construction(fields, message):
    with pytest.raises(ValueError, match=message):
        SentenceOrderingConfig(**{"backbone_config": BertConfig(), "sentence_token_id": 101} | fields)


NUMBERS = {
    "sentence_token_id": [-1, 10**9, 2.5, 2.0, "2", True],
    "max_tokens": [0, -1, 64.5, 64.0, "64", True],
    "head_dropout": [-0.1, 1.0, 2, math.nan, math.inf, "0.1", None, True],
    "confidence_slope": [-0.5, math.nan, math.inf, 10**400, "1", True],
    "score_unit": [0, -1, math.nan, math.inf, "1", None, True],
}
OTHERS = {
    "pooling": ["CLS", "max", "", None, 1, ["cls"]],
    "loss_type": ["l1", None, 0],
    "loss_reduction": ["sum", None, True],
    "scale_positions": [1, 0.0, "true", None],
    "backbone_config": [None, "bert", LxmertConfig()],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in (NUMBERS | OTHERS).items() for value in values]
)
def test_impossible_value_is_refused_wherever_it_is_set(field, value, bert_config, tmp_path):
    config = SentenceOrderingConfig(bert_config, sentence_token_id=7)
    before = config.to_dict()
    # An encoder of another kind is refused by its type.
    message = "lxmert" if isinstance(value, LxmertConfig) else field
    with pytest.raises(ValueError, match=message):
        setattr(config, field, value)
    assert config.to_dict() == before
    with pytest.raises(ValueError, match=message):
        SentenceOrderingConfig(**{"backbone_config": bert_config, "sentence_token_id": 7, field: value})
    config.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=message):
        SentenceOrderingConfig.from_pretrained(tmp_path, **{field: value})
    file = tmp_path / "config.json"
    value = value.to_dict() if isinstance(value, LxmertConfig) else value
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: value}))
    with pytest.raises(ValueError, match=message):
        AutoConfig.from_pretrained(tmp_path)


def test_fields_that_exclude_each_other_are_refused_when_a_file_is_loaded_with_them_or_saved(bert_config, tmp_path):
    config = SentenceOrderingConfig(bert_config, sentence_token_id=7, scale_positions=True)
    config.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="scale_positions=True goes with"):
        SentenceOrderingConfig.from_pretrained(tmp_path, loss_type="list_mle")
    changed = SentenceOrderingConfig.from_pretrained(tmp_path, loss_type="list_mle", scale_positions=False)
    assert changed.loss_type == "list_mle"
    config.loss_type = "list_mle"
    with pytest.raises(ValueError, match="scale_positions=True goes with"):
        config.save_pretrained(tmp_path)


def test_whole_numbers_will_do_for_fractions(bert_config):
    config = SentenceOrderingConfig(bert_config, sentence_token_id=7, head_dropout=0, confidence_slope=1, score_unit=1)
    assert (config.head_dropout, config.confidence_slope, config.score_unit) == (0, 1, 1)


def test_impossible_value_is_refused_when_it_overrides_that_of_a_saved_model(orderer_folder):
    with pytest.raises(ValueError, match="'pooling' expected one of .* got max"):
        SentenceOrderingModel.from_pretrained(orderer_folder, pooling="max")


def test_the_callers_configuration_is_not_changed():
    decoder = Qwen3Config(hidden_size=32)
    before = decoder.to_dict()
    config = SentenceOrderingConfig(decoder, sentence_token_id=7)
    assert decoder.to_dict() == before
    assert (config.backbone_config.is_causal, config.backbone_config.use_cache) == (False, False)


TODAYS = ("scale_positions", "score_unit")


@pytest.mark.parametrize(
    ("target_range", "fields"), [(None, (False, 1)), (4, (True, 1)), (2.0, (True, 0.5)), (1, (True, 0.25))]
)
def test_file_of_the_first_version_becomes_one_of_today(target_range, fields, bert_config, tmp_path):
    SentenceOrderingConfig(bert_config, sentence_token_id=7).save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    old = {name: value for name, value in json.loads(file.read_text()).items() if name not in TODAYS}
    file.write_text(json.dumps(old | {"target_range": target_range}))
    for _ in range(2):
        config = AutoConfig.from_pretrained(tmp_path)
        assert (config.scale_positions, config.score_unit) == fields
        config.save_pretrained(tmp_path)
        assert "target_range" not in json.loads(file.read_text())


def test_target_range_as_a_keyword_only_says_whether_to_scale(orderer_folder):
    config = SentenceOrderingConfig.from_pretrained(orderer_folder, target_range=40.0)
    assert (config.scale_positions, config.score_unit) == (True, 1)
    with pytest.raises(AttributeError, match="`target_range`.* is now `scale_positions`"):
        config.target_range = 4.0


@pytest.mark.parametrize(
    ("backbone_config", "limit"),
    [
        (BertConfig(max_position_embeddings=512), 512),
        (RobertaConfig(max_position_embeddings=514, pad_token_id=1), 512),
        (T5Config(), None),
        (XLNetConfig(), None),
    ],
)
def test_position_limit_is_the_backbones_true_one(backbone_config, limit):
    assert SentenceOrderingConfig(backbone_config, sentence_token_id=0).position_limit == limit


@pytest.mark.parametrize(("max_tokens", "limit"), [(None, 512), (128, 128), (1024, 512)])
def test_token_limit_is_the_smaller_of_both(max_tokens, limit):
    assert SentenceOrderingConfig(BertConfig(), sentence_token_id=0, max_tokens=max_tokens).token_limit == limit


def test_configuration_of_a_plain_encoder_is_refused(encoder_folder):
    with pytest.raises(ValueError, match="holds a 'bert' model.*AutoModelForSentenceOrdering.from_pretrained"):
        SentenceOrderingConfig.from_pretrained(encoder_folder)


def test_file_that_holds_no_object_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("[7]")
    with pytest.raises(ValueError, match=r"The configuration of .* is no JSON object, but \[7\]"):
        SentenceOrderingConfig.from_pretrained(tmp_path)


def test_text_config_is_the_backbones(bert_config):
    config = SentenceOrderingConfig(bert_config, sentence_token_id=7)
    assert config.get_text_config() is config.backbone_config


def test_wrapping_keeps_the_backbones_attention():
    config = SentenceOrderingConfig(BertConfig(attn_implementation="eager"), sentence_token_id=7)
    assert config.backbone_config._attn_implementation == "eager"


def test_path_of_the_encoder_is_not_written_but_its_id_is(orderer_folder, encoder_folder):
    assert str(encoder_folder) not in (orderer_folder / "config.json").read_text()
    config = SentenceOrderingConfig(BertConfig(name_or_path="user/encoder"), sentence_token_id=7)
    assert config.to_dict()["backbone_config"]["_name_or_path"] == "user/encoder"
