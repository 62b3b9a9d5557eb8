import json
import re
import shutil

import pytest
import torch
from transformers import GPT2Config, GPT2Model, TrainingArguments

from sentence_ordering import AutoModelForSentenceOrdering, SentenceOrderingConfig, ordering_trainer
from sentence_ordering.commands.train_arguments import ModelArguments
from sentence_ordering.model import adapter
from sentence_ordering.training.lora import add_lora, load_lora, merge_lora

peft = pytest.importorskip("peft")

IDS = torch.tensor([[1, 20, 21, 1, 22, 1, 30]])


def test_adapter_loads_onto_a_fresh_wrap_and_merges_to_the_same_scores(encoder_folder, tmp_path):
    def fresh():
        return AutoModelForSentenceOrdering.from_pretrained(encoder_folder)

    model = add_lora(fresh(), rank=4)
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=0.05)
    encoder = fresh().backbone.state_dict()
    for _ in range(3):
        optimizer.zero_grad()
        model(input_ids=IDS, labels=torch.tensor([[2, 0, 1]])).loss.backward()
        optimizer.step()
    model.eval()
    scores = model(input_ids=IDS).logits
    model.save_pretrained(tmp_path / "adapter")
    assert not (tmp_path / "adapter" / "model.safetensors").exists()

    loaded = peft.PeftModel.from_pretrained(fresh(), tmp_path / "adapter").eval()
    torch.testing.assert_close(loaded(input_ids=IDS).logits, scores)
    merged = loaded.merge_and_unload()
    torch.testing.assert_close(merged(IDS).logits, scores, atol=1e-5, rtol=1e-5)
    name = "encoder.layer.0.attention.self.query.weight"
    assert not merged.backbone.state_dict()[name].equal(encoder[name])
    word_embeddings = merged.get_input_embeddings().weight
    assert word_embeddings.equal(encoder["embeddings.word_embeddings.weight"])
    merged.save_pretrained(tmp_path / "orderer")
    again = AutoModelForSentenceOrdering.from_pretrained(tmp_path / "orderer")
    torch.testing.assert_close(again(IDS).logits, merged(IDS).logits)


def test_training_program_leaves_a_merged_orderer_and_its_adapter(encoder_folder, train_lora, tmp_path):
    train_lora(encoder_folder, tmp_path / "out")
    orderer = AutoModelForSentenceOrdering.from_pretrained(tmp_path / "out")
    fresh = AutoModelForSentenceOrdering.from_pretrained(encoder_folder)
    merged = peft.PeftModel.from_pretrained(fresh, tmp_path / "out" / "adapter").eval().merge_and_unload()
    torch.testing.assert_close(orderer(IDS).logits, merged(IDS).logits)


def test_weakened_adapters_add_a_part_and_confidence_is_that_of_the_weakened(encoder_folder, train_lora, tmp_path):
    whole, part = (
        AutoModelForSentenceOrdering.from_pretrained(train_lora(encoder_folder, tmp_path / name, **options))
        for name, options in {"whole": {}, "part": {"lora_strength": 0.25}}.items()
    )
    rows = [re.findall(r"rank 4.*head", (tmp_path / folder / "README.md").read_text()) for folder in ("whole", "part")]
    assert rows == [["rank 4, and the head"], ["rank 4, of which 0.25 was kept, and the head"]]
    name = "backbone.encoder.layer.0.attention.self.query.weight"
    encoder = AutoModelForSentenceOrdering.from_pretrained(encoder_folder).state_dict()[name]
    torch.testing.assert_close(part.state_dict()[name] - encoder, 0.25 * (whole.state_dict()[name] - encoder))
    torch.testing.assert_close(part.ordering_head.state_dict(), whole.ordering_head.state_dict())
    assert part.config.confidence_slope != whole.config.confidence_slope


@pytest.mark.parametrize("strength", [0.0, 1.5])
def test_strength_out_of_range_is_refused(strength, encoder_folder, train_lora, tmp_path):
    with pytest.raises(SystemExit, match=f"lora_strength={strength} must be above 0 and at most 1"):
        train_lora(encoder_folder, tmp_path / "out", lora_strength=strength)


def test_strength_without_adapters_is_refused():
    with pytest.raises(ValueError, match="`--lora_strength` is for adapters: add `--lora_rank`"):
        ModelArguments(lora_strength=0.5)


@pytest.fixture(scope="module")
def folder(encoder_folder, train_lora, tmp_path_factory):
    return train_lora(encoder_folder, tmp_path_factory.mktemp("first") / "out", pooling="mean")


class TestTrainingGoesOnWithAnAdapter:
    def test_it_starts_from_the_scores_of_the_orderer(self, folder):
        orderer = AutoModelForSentenceOrdering.from_pretrained(folder)
        model = load_lora(str(folder), rank=4).eval()
        torch.testing.assert_close(model(input_ids=IDS).logits, orderer(IDS).logits)

    def test_adapters_and_head_are_trained_in_float32_and_nothing_else(self, folder):
        model = load_lora(str(folder), rank=4)
        trainable = {name: weight.dtype for name, weight in model.named_parameters() if weight.requires_grad}
        assert set(trainable.values()) == {torch.float32}
        assert all("lora_" in name or "ordering_head.modules_to_save" in name for name in trainable)

    def test_what_it_gives_is_one_adapter_of_the_same_encoder(self, folder, encoder_folder, train_lora, tmp_path):
        train_lora(folder, tmp_path / "out")
        config = json.loads((tmp_path / "out" / "adapter" / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == str(encoder_folder)
        fresh = AutoModelForSentenceOrdering.from_pretrained(encoder_folder, pooling="mean")
        adapted = peft.PeftModel.from_pretrained(fresh, tmp_path / "out" / "adapter").eval()
        again = AutoModelForSentenceOrdering.from_pretrained(tmp_path / "out")
        torch.testing.assert_close(again(IDS).logits, adapted(input_ids=IDS).logits)
        assert not torch.allclose(again(IDS).logits, AutoModelForSentenceOrdering.from_pretrained(folder)(IDS).logits)

    def test_what_it_needs_is_fetched_from_the_hub(self, folder, tmp_path, monkeypatch):
        def fetch(name, file, **options):
            assert name == "user/orderer"
            (tmp_path / file).parent.mkdir(exist_ok=True)
            return shutil.copy(folder / file, tmp_path / file)

        monkeypatch.setattr(adapter, "cached_file", fetch)
        config = SentenceOrderingConfig.from_pretrained(folder)
        model = load_lora("user/orderer", rank=4, config=config).eval()
        orderer = AutoModelForSentenceOrdering.from_pretrained(folder)
        torch.testing.assert_close(model(input_ids=IDS).logits, orderer(IDS).logits)

    def test_another_rank_is_refused(self, folder):
        with pytest.raises(ValueError, match="has rank 4, not 8"):
            load_lora(str(folder), rank=8)

    @pytest.mark.parametrize("change", [0.01, float("nan")])
    def test_an_adapter_beside_weights_that_were_trained_on_is_refused(self, change, folder, tmp_path):
        other = shutil.copytree(folder, tmp_path / "other")
        model = AutoModelForSentenceOrdering.from_pretrained(other)
        with torch.no_grad():
            model.backbone.encoder.layer[0].output.dense.weight += change
        model.save_pretrained(other)
        with pytest.raises(ValueError, match=r"layer.0.output.dense.weight is another.*remove 'adapter'"):
            load_lora(str(other), rank=4)

    def test_an_adapter_beside_weights_in_half_precision_is_theirs(self, folder, tmp_path):
        other = shutil.copytree(folder, tmp_path / "other")
        AutoModelForSentenceOrdering.from_pretrained(other, dtype=torch.bfloat16).save_pretrained(other)
        assert load_lora(str(other), rank=4) is not None

    def test_fields_may_be_overridden_those_of_the_encoder_too(self, folder):
        config = load_lora(str(folder), rank=4, max_tokens=64, hidden_dropout_prob=0.25).config
        assert (config.max_tokens, config.backbone_config.hidden_dropout_prob) == (64, 0.25)


def test_there_is_nothing_to_go_on_with_in_an_encoder(encoder_folder):
    assert load_lora(str(encoder_folder), rank=4) is None


class TestWhatAnAdapterCannotSayOfItsEncoder:
    """An adapter names an encoder; beside another one it would give other scores."""

    def test_a_model_from_nowhere_is_refused(self, bert_config):
        model = AutoModelForSentenceOrdering.from_config(bert_config, sentence_token_id=1)
        with pytest.raises(ValueError, match="this model was not loaded from anywhere"):
            add_lora(model, rank=4)

    def test_a_subfolder_is_refused(self, encoder_folder, tmp_path):
        shutil.copytree(encoder_folder, tmp_path / "sub")
        model = AutoModelForSentenceOrdering.from_pretrained(tmp_path, subfolder="sub")
        with pytest.raises(ValueError, match="cannot name the subfolder 'sub'"):
            add_lora(model, rank=4)

    def test_another_vocabulary_is_refused(self, encoder_folder):
        model = AutoModelForSentenceOrdering.from_pretrained(encoder_folder)
        size = model.config.backbone_config.vocab_size
        model.resize_token_embeddings(size + 1)
        with pytest.raises(ValueError, match=f"vocabulary was changed from {size} to {size + 1} tokens"):
            add_lora(model, rank=4)

    def test_a_revision_is_written_down(self, encoder_folder):
        model = AutoModelForSentenceOrdering.from_pretrained(encoder_folder, revision="v1")
        assert add_lora(model, rank=4).peft_config["default"].revision == "v1"

    def test_weights_that_were_changed_in_memory_are_found_out(self, encoder_folder, stories, tmp_path):
        model = AutoModelForSentenceOrdering.from_pretrained(encoder_folder)
        with torch.no_grad():
            model.backbone.embeddings.LayerNorm.bias += 0.1
        args = TrainingArguments(str(tmp_path), max_steps=1, report_to="none", use_cpu=True, save_strategy="no")
        trainer = ordering_trainer(model, args, train_dataset=stories[:8], lora_rank=4)
        with pytest.raises(ValueError, match="backbone.embeddings.LayerNorm.bias is not what '.*' holds"):
            merge_lora(trainer)


def test_adapters_of_gpt2_whose_weights_lie_the_other_way_round_are_merged(tokenizer, stories, tmp_path):
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, n_positions=64)
    GPT2Model(config).save_pretrained(tmp_path / "encoder")
    tokenizer.save_pretrained(tmp_path / "encoder")
    args = TrainingArguments(
        str(tmp_path / "out"), max_steps=2, learning_rate=0.05, report_to="none", use_cpu=True, save_strategy="no"
    )
    trainer = ordering_trainer(str(tmp_path / "encoder"), args, train_dataset=stories[:8], lora_rank=4)
    trainer.train()
    expected = trainer.model.eval()(input_ids=IDS).logits
    merge_lora(trainer)
    torch.testing.assert_close(trainer.model(IDS).logits, expected, atol=2e-3, rtol=0.02)  # Rounded to bfloat16.
    before = AutoModelForSentenceOrdering.from_pretrained(tmp_path / "encoder").backbone.h[0].mlp.c_fc.weight
    assert not torch.allclose(trainer.model.backbone.h[0].mlp.c_fc.weight, before, atol=1e-2)


def test_a_new_head_that_would_not_be_saved_is_refused(encoder_folder, stories, tmp_path):
    model = AutoModelForSentenceOrdering.from_pretrained(encoder_folder)
    adapted = peft.get_peft_model(model, peft.LoraConfig(target_modules=["query", "value"]))
    arguments = TrainingArguments(tmp_path, max_steps=1, use_cpu=True, report_to="none")
    trainer = ordering_trainer(adapted, arguments, train_dataset=stories[:8])
    with pytest.raises(ValueError, match="would not be saved .* `modules_to_save="):
        trainer.train()


def test_there_is_nothing_to_merge_without_adapters(encoder_folder, stories, tmp_path):
    args = TrainingArguments(str(tmp_path / "out"), report_to="none", use_cpu=True)
    trainer = ordering_trainer(encoder_folder, args, train_dataset=stories[:4])
    with pytest.raises(ValueError, match="no adapters to merge: give `ordering_trainer` a `lora_rank`"):
        merge_lora(trainer)
    assert not (tmp_path / "out" / "adapter").exists()


def test_adapters_that_were_saved_alone_tell_what_is_missing(encoder_folder, stories, tmp_path):
    arguments = TrainingArguments(tmp_path / "out", max_steps=1, use_cpu=True, report_to="none")
    trainer = ordering_trainer(str(encoder_folder), arguments, train_dataset=stories[:8], lora_rank=2)
    trainer.save_model()
    with pytest.raises(ValueError, match=r"out holds adapters alone. After training, `merge_lora\(trainer\)`"):
        AutoModelForSentenceOrdering.from_pretrained(tmp_path / "out")
