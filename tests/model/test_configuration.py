import pytest
from transformers import AutoConfig, BertConfig, RobertaConfig, T5Config, XLNetConfig

from sentence_ordering import SentenceOrderingConfig


def test_every_field_survives_saving_and_loading(bert_config, tmp_path):
    config = SentenceOrderingConfig(
        bert_config,
        sentence_token_id=7,
        max_tokens=100,
        pooling="mean",
        head_dropout=0.25,
        loss_reduction="document",
        target_range=4.0,
    )
    config.save_pretrained(tmp_path)
    for loaded in (SentenceOrderingConfig.from_pretrained(tmp_path), AutoConfig.from_pretrained(tmp_path)):
        assert type(loaded) is SentenceOrderingConfig
        assert (loaded.sentence_token_id, loaded.max_tokens, loaded.pooling) == (7, 100, "mean")
        assert (loaded.head_dropout, loaded.loss_type, loaded.loss_reduction) == (0.25, "mse", "document")
        assert loaded.target_range == 4.0
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
        ({"sentence_token_id": -1}, "sentence_token_id=-1 is no token id"),
        ({"loss_type": "l1"}, 'loss_type=\'l1\' is unknown. Use "mse" or "pairwise_logistic" or "list_mle"'),
        ({"loss_reduction": "sum"}, 'loss_reduction=\'sum\' is unknown. Use "sentence" or "document"'),
        ({"pooling": "max"}, 'pooling=\'max\' is unknown. Use "cls" or "mean"'),
        ({"head_dropout": -0.1}, "head_dropout=-0.1 is no probability"),
        ({"head_dropout": 1.0}, "head_dropout=1.0 is no probability"),
        ({"max_tokens": 0}, "max_tokens=0 must be positive, or None"),
        ({"target_range": -4}, "target_range=-4 must be positive, or None"),
        ({"confidence_slope": -0.5}, "confidence_slope=-0.5 must not be negative"),
        ({"target_range": 4, "loss_type": "list_mle"}, 'target_range=4 goes with loss_type="mse"'),
    ],
)
def test_impossible_values_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        SentenceOrderingConfig(**{"backbone_config": BertConfig(), "sentence_token_id": 101} | fields)


def test_impossible_value_is_refused_when_it_overrides_a_saved_one(orderer_folder):
    from sentence_ordering import SentenceOrderingModel

    with pytest.raises(ValueError, match="pooling='max' is unknown"):
        SentenceOrderingModel.from_pretrained(orderer_folder, pooling="max")


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
