import copy
import json
import subprocess

import numpy as np
import pytest
import torch
from transformers import (
    AutoModel,
    BartConfig,
    DataCollatorForSeq2Seq,
    LongT5Config,
    RobertaConfig,
    SqueezeBertConfig,
    T5Config,
    UMT5Config,
)

from sentence_ordering import (
    AutoModelForSentenceOrdering,
    SentenceOrderingConfig,
    SentenceOrderingModel,
    SentenceOrderingOutput,
    encode_documents,
)
from sentence_ordering.data import DataCollatorForSentenceOrdering

SMALL_LAYERS = {"layers": 1, "attention_heads": 2, "ffn_dim": 64}


def make_batch(tokenizer, config, documents, labels=None):
    rows = encode_documents(documents, tokenizer, config)["input_ids"]
    features = [{"input_ids": row} for row in rows]
    for feature, positions in zip(features, labels or [], strict=False):
        feature["labels"] = positions
    return DataCollatorForSentenceOrdering(tokenizer, config)(features)


@pytest.fixture
def batch(tokenizer, model, stories):
    rng = np.random.default_rng(0)
    documents = [story for story in stories[:40] if 2 <= len(story) <= 9][:8]
    return make_batch(tokenizer, model.config, documents, [rng.permutation(len(d)).tolist() for d in documents])


def naive_loss(scores, labels, reduction, scale_positions):
    """The squared error as a loop over documents in float64."""
    sums, counts = [], []
    for document_scores, document_labels in zip(scores.double(), labels, strict=True):
        positions = document_labels[document_labels != -100].double()
        n = len(positions)
        targets = positions * 4 / max(n - 1, 1) if scale_positions else positions
        sums.append(((document_scores[:n] - targets) ** 2).sum().item())
        counts.append(n)
    return sum(sums) / (sum(counts) if reduction == "sentence" else len(sums))


def naive_scores(model, vectors):
    """The scores of one document's vectors in NumPy and float64: projected, and moved to the mean of its positions."""
    weight = model.ordering_head.projection.weight.detach().double().numpy()[0]
    scores = vectors.detach().double().numpy() @ weight
    return torch.tensor(scores - scores.mean() + (len(scores) - 1) / 2, dtype=torch.float32)


class TestForward:
    def test_output_is_one_score_per_sentence(self, model, batch):
        output = model(**batch)
        assert isinstance(output, SentenceOrderingOutput)
        assert output.logits.shape == batch["labels"].shape
        assert output.logits.dtype == torch.float32
        assert (output.logits == -100).equal(batch["labels"] == -100)
        assert output.loss.shape == ()
        assert output.hidden_states is None

    def test_cls_pooling_reads_the_sentence_tokens(self, model, batch):
        hidden = model.backbone(batch["input_ids"], batch["attention_mask"]).last_hidden_state
        expected = [
            naive_scores(model, states[ids == model.config.sentence_token_id])
            for states, ids in zip(hidden, batch["input_ids"], strict=True)
        ]
        for logits, scores in zip(model(**batch).logits, expected, strict=True):
            torch.testing.assert_close(logits[: len(scores)], scores)

    def test_mean_pooling_reads_all_tokens_of_a_sentence(self, model, batch):
        model.config.pooling = "mean"
        hidden = model.backbone(batch["input_ids"], batch["attention_mask"]).last_hidden_state
        logits = model(**batch).logits
        for row, states in enumerate(hidden):
            ids = batch["input_ids"][row][batch["attention_mask"][row].bool()]
            starts = (ids == model.config.sentence_token_id).nonzero()[:, 0].tolist()
            means = [states[a:b].mean(0) for a, b in zip(starts, [*starts[1:], len(ids)], strict=True)]
            torch.testing.assert_close(logits[row, : len(means)], naive_scores(model, torch.stack(means)))

    @pytest.mark.parametrize("pooling", ["cls", "mean"])
    def test_score_does_not_depend_on_padding(self, pooling, model, tokenizer, stories):
        model.config.pooling = pooling
        documents = sorted(stories[:20], key=lambda story: sum(map(len, story)))
        together = model(**make_batch(tokenizer, model.config, documents)).logits
        for document, logits in zip(documents, together, strict=True):
            alone = model(**make_batch(tokenizer, model.config, [document])).logits[0]
            torch.testing.assert_close(logits[: len(document)], alone, atol=1e-5, rtol=1e-5)
            assert (logits[len(document) :] == -100).all()

    @pytest.mark.parametrize("pooling", ["cls", "mean"])
    def test_left_padding_is_ignored_too(self, pooling, modernbert_config, tokenizer):
        model = AutoModelForSentenceOrdering.from_config(modernbert_config, sentence_token_id=1, pooling=pooling).eval()
        ids = torch.tensor([[1, 20, 21, 1, 22]])
        left = torch.cat([torch.full((1, 3), tokenizer.pad_token_id), ids], dim=1)
        mask = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1]])
        torch.testing.assert_close(model(left, mask).logits, model(ids).logits, atol=1e-5, rtol=1e-5)

    def test_backbone_receives_what_it_takes_and_no_more(self, model, batch):
        seen = {}
        model.backbone.register_forward_pre_hook(lambda _, args, kwargs: seen.update(kwargs), with_kwargs=True)
        positions = torch.arange(batch["input_ids"].shape[1])[None]
        model(
            **batch, token_type_ids=torch.zeros_like(batch["input_ids"]), position_ids=positions, num_items_in_batch=3
        )
        assert {"input_ids", "attention_mask", "token_type_ids", "position_ids", "return_dict"} == seen.keys()

    def test_token_type_ids_are_withheld_from_a_backbone_without_them(self, modernbert_config):
        model = AutoModelForSentenceOrdering.from_config(modernbert_config, sentence_token_id=1)
        seen = {}
        model.backbone.register_forward_pre_hook(lambda _, args, kwargs: seen.update(kwargs), with_kwargs=True)
        ids = torch.tensor([[1, 5, 1, 6]])
        assert model(ids, token_type_ids=torch.zeros_like(ids)).logits.shape == (1, 2)
        assert "token_type_ids" not in seen

    def test_padding_that_looks_like_a_sentence_token_is_none(self, model):
        ids = torch.tensor([[1, 20, 21, 1, 22]])
        padded = torch.nn.functional.pad(ids, (0, 3), value=1)
        mask = torch.tensor([[1, 1, 1, 1, 1, 0, 0, 0]])
        torch.testing.assert_close(model(padded, mask).logits, model(ids).logits)

    def test_dropout_of_the_head_is_applied_in_training_only(self, encoder_folder, batch):
        model = AutoModelForSentenceOrdering.from_pretrained(encoder_folder, head_dropout=0.5)
        assert model(**batch).logits.equal(model(**batch).logits)
        model.ordering_head.train()
        assert not model(**batch).logits.equal(model(**batch).logits)

    def test_hidden_states_and_attentions_are_handed_through(self, encoder_folder, batch):
        model = AutoModelForSentenceOrdering.from_pretrained(encoder_folder, attn_implementation="eager")
        output = model(**batch, output_hidden_states=True, output_attentions=True)
        assert len(output.hidden_states) == 3
        assert output.attentions[0].shape[-1] == batch["input_ids"].shape[1]

    def test_hidden_states_may_be_asked_for_by_the_configuration(self, orderer_folder, batch):
        model = SentenceOrderingModel.from_pretrained(orderer_folder, output_hidden_states=True)
        assert len(model(**batch).hidden_states) == 3
        assert model(**batch, output_hidden_states=False).hidden_states is None

    def test_tuple_on_request(self, model, batch):
        assert isinstance(model(**batch, return_dict=None), SentenceOrderingOutput)
        loss, logits = model(**batch, return_dict=False)
        torch.testing.assert_close(logits, model(**batch).logits)
        assert loss.shape == ()

    @pytest.mark.parametrize(("scale_positions", "middle"), [(False, 1.5), (True, 2)])
    def test_scores_of_a_document_average_to_its_middle(self, scale_positions, middle, model, tokenizer):
        model.config.scale_positions = scale_positions
        batch = make_batch(tokenizer, model.config, [["Tom ate.", "He slept.", "He woke.", "It rained."], ["One."]])
        logits = model(**batch).logits
        assert logits[0].mean().item() == pytest.approx(middle, abs=1e-6)
        assert logits[1].tolist() == [0, -100, -100, -100]

    @pytest.mark.parametrize("pooling", ["cls", "mean"])
    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_states_at_padding_do_not_count_whatever_they_are(self, value, pooling, model, batch):
        model.config.pooling = pooling
        expected = model(**batch)
        padding = batch["attention_mask"] == 0
        assert padding.any()

        def spoil(module, inputs, output):
            output.last_hidden_state = output.last_hidden_state.masked_fill(padding[:, :, None], value)
            return output

        model.backbone.register_forward_hook(spoil)
        output = model(**batch)
        torch.testing.assert_close((output.loss, output.logits), (expected.loss, expected.logits))
        output.loss.backward()
        assert model.ordering_head.projection.weight.grad.isfinite().all()

    def test_what_all_sentences_have_in_common_does_not_count(self, model):
        vectors = torch.randn(1, 4, 32)
        exists = torch.ones(1, 4, dtype=torch.bool)
        scores = model.ordering_head(vectors, exists)
        torch.testing.assert_close(model.ordering_head(vectors + torch.randn(32), exists), scores, atol=1e-5, rtol=1e-5)

    def test_missing_input_ids_are_refused(self, model):
        with pytest.raises(ValueError, match="input_ids are required"):
            model()

    def test_rows_beyond_the_true_limit_are_refused(self):
        backbone = RobertaConfig(
            vocab_size=99,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=34,
            pad_token_id=1,
        )
        model = AutoModelForSentenceOrdering.from_config(backbone, sentence_token_id=0).eval()
        assert model(torch.zeros(1, 32, dtype=torch.long)).logits.shape == (1, 32)
        with pytest.raises(ValueError, match="Rows of 33 tokens exceed the 32 positions of the roberta backbone"):
            model(torch.zeros(1, 33, dtype=torch.long))

    @pytest.mark.parametrize(
        "backbone",
        [
            T5Config(vocab_size=99, d_model=32, num_layers=1, num_heads=2, d_kv=16, d_ff=64),
            UMT5Config(vocab_size=99, d_model=32, num_layers=1, num_heads=2, d_kv=16, d_ff=64),
            BartConfig(
                vocab_size=99,
                d_model=32,
                **{f"{side}_{name}": n for side in ("encoder", "decoder") for name, n in SMALL_LAYERS.items()},
            ),
        ],
        ids=["t5", "umt5", "bart"],
    )
    def test_encoder_decoder_gives_the_encoders_states(self, backbone, tmp_path):
        model = AutoModelForSentenceOrdering.from_config(backbone, sentence_token_id=5).eval()
        assert not any("decoder" in name for name, _ in model.named_parameters())
        ids = torch.tensor([[5, 9, 5, 8]])
        model.save_pretrained(tmp_path)
        loaded = AutoModelForSentenceOrdering.from_pretrained(tmp_path)
        assert loaded(ids).logits.shape == (1, 2)
        torch.testing.assert_close(loaded(ids).logits, model(ids).logits)


class TestLoss:
    @pytest.mark.parametrize("reduction", ["sentence", "document"])
    @pytest.mark.parametrize("scale_positions", [False, True])
    def test_loss_equals_a_loop_over_documents(self, reduction, scale_positions, model, batch):
        model.config.loss_reduction, model.config.scale_positions = reduction, scale_positions
        output = model(**batch)
        expected = naive_loss(output.logits, batch["labels"], reduction, scale_positions)
        assert output.loss.item() == pytest.approx(expected, rel=1e-6)

    @pytest.mark.parametrize("score_unit", [1.0, 0.25])
    def test_five_sentences_train_as_unscaled_ones_do_whatever_the_unit(self, score_unit, model, tokenizer, stories):
        documents = [story[:5] for story in stories if len(story) >= 5][:4]
        batch = make_batch(tokenizer, model.config, documents, [[2, 0, 4, 1, 3]] * 4)
        _, raw = backward(model, [batch])
        scores = model(**batch).logits
        model.config.scale_positions, model.config.score_unit = True, score_unit
        _, scaled = backward(model, [batch])
        torch.testing.assert_close(scaled, raw)
        torch.testing.assert_close(model(**batch).logits, scores * score_unit)

    @pytest.mark.parametrize(
        ("loss_type", "scale_positions"),
        [("mse", False), ("mse", True), ("pairwise_logistic", False), ("list_mle", False)],
    )
    def test_accumulated_loss_and_gradients_equal_those_of_one_batch(self, loss_type, scale_positions, model, batch):
        model.config.loss_type, model.config.scale_positions = loss_type, scale_positions
        loss, gradients = backward(model, [batch])
        items = (batch["labels"] != -100).sum()
        parts = [{name: rows[a:b] for name, rows in batch.items()} for a, b in ((0, 3), (3, 8))]
        accumulated_loss, accumulated = backward(model, parts, num_items_in_batch=items)
        assert accumulated_loss == pytest.approx(loss, abs=1e-6)
        for name, gradient in gradients.items():
            torch.testing.assert_close(accumulated[name], gradient, atol=1e-6, rtol=1e-5)

    def test_accumulated_document_loss_is_exact_for_documents_of_equal_length(self, model, tokenizer, stories):
        model.config.loss_reduction = "document"
        documents = [story[:4] for story in stories if len(story) >= 4][:8]
        batch = make_batch(tokenizer, model.config, documents, [[2, 0, 1, 3]] * 8)
        parts = [{name: rows[a:b] for name, rows in batch.items()} for a, b in ((0, 3), (3, 8))]
        loss, _ = backward(model, [batch])
        assert backward(model, parts, num_items_in_batch=32)[0] == pytest.approx(loss, rel=1e-6)

    def test_number_of_items_may_come_as_data_parallel_sends_it(self, model, batch):
        items = (batch["labels"] != -100).sum()
        one = model(**batch, num_items_in_batch=items.reshape(1, 1)).loss
        torch.testing.assert_close(one, model(**batch).loss)

    def test_labels_wider_than_the_sentences_are_masked(self, model, batch):
        wider = torch.nn.functional.pad(batch["labels"], (0, 3), value=7)
        output = model(**{**batch, "labels": wider})
        assert output.logits.shape == wider.shape
        beyond = (batch["labels"] == -100).all(0).sum()
        assert (output.logits[:, batch["labels"].shape[1] + beyond :] == -100).all()
        clean = torch.nn.functional.pad(batch["labels"], (0, 3), value=-100)
        model.config.scale_positions = True
        output = model(**{**batch, "labels": wider})
        torch.testing.assert_close(output.loss, model(**{**batch, "labels": clean}).loss)

    def test_documents_that_are_labelled_in_part_have_the_targets_of_whole_ones(self, model, batch):
        model.config.scale_positions = True
        labels = batch["labels"].clone()
        labels[:, 0] = -100
        counts = (batch["labels"] != -100).sum(1, keepdim=True)
        errors = model(**batch).logits - labels * 4 / (counts - 1)
        torch.testing.assert_close(model(**{**batch, "labels": labels}).loss, errors[labels != -100].square().mean())

    @pytest.mark.parametrize("padding", ["left", "right"])
    def test_labels_may_be_padded_on_the_side_of_the_tokenizer(self, padding, model, tokenizer, stories):
        documents = [story for story in stories[:40] if 2 <= len(story) <= 9][:8]
        rows = encode_documents(documents, tokenizer, model.config)["input_ids"]
        labels = [list(range(len(document)))[::-1] for document in documents]
        features = [{"input_ids": ids, "labels": given} for ids, given in zip(rows, labels, strict=True)]
        expected = model(**DataCollatorForSentenceOrdering(tokenizer, model.config)(features))
        sided = copy.deepcopy(tokenizer)
        sided.padding_side = padding
        batch = DataCollatorForSeq2Seq(sided)(features)
        assert (batch["labels"][:, 0] == -100).any() == (padding == "left")
        # Positions count from the left, so that tokens behind padding have others.
        batch["position_ids"] = (batch["attention_mask"].cumsum(1) - 1).clamp(min=0)
        output = model(**batch)
        torch.testing.assert_close(output.loss, expected.loss)
        labelled = batch["labels"] != -100
        torch.testing.assert_close(output.logits[labelled], expected.logits[expected.logits != -100])
        assert (output.logits[~labelled] == -100).all()

    def test_labels_narrower_than_the_sentences_leave_the_rest_out(self, model, batch):
        output = model(**{**batch, "labels": batch["labels"][:, :2]})
        assert output.logits.shape == (8, 2)
        torch.testing.assert_close(output.logits.mean(1), torch.full((8,), 0.5))

    def test_batch_without_labels_has_zero_loss(self, model, batch):
        loss = model(**{**batch, "labels": torch.full_like(batch["labels"], -100)}).loss
        assert loss.item() == 0

    def test_document_without_labels_does_not_count(self, model, batch):
        model.config.loss_reduction = "document"
        labels = batch["labels"].clone()
        labels[3] = -100
        rest = [0, 1, 2, 4, 5, 6, 7]
        expected = model(**{name: rows[rest] for name, rows in batch.items()}).loss
        torch.testing.assert_close(model(**{**batch, "labels": labels}).loss, expected)

    @pytest.mark.parametrize("pooling", ["cls", "mean"])
    def test_training_step_compiles_without_a_graph_break(self, pooling, model, batch):
        model.config.pooling = pooling
        compiled = torch.compile(model, fullgraph=True, backend="eager")
        items = (batch["labels"] != -100).sum()
        torch.testing.assert_close(
            compiled(**batch, num_items_in_batch=items).loss, model(**batch, num_items_in_batch=items).loss
        )
        torch._dynamo.reset()


def backward(model, batches, **kwargs):
    model.zero_grad()
    total = 0.0
    for batch in batches:
        loss = model(**batch, **kwargs).loss
        loss.backward()
        total += loss.item()
    return total, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


class TestPrecision:
    @pytest.fixture
    def twenty_sentences(self, tokenizer, model, stories):
        document = [story[0] for story in stories[:20]]
        assert len(set(document)) == 20
        return make_batch(tokenizer, model.config, [document], [list(range(20))])

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half_precision_weights_give_distinct_float32_scores(self, dtype, orderer_folder, twenty_sentences):
        model = SentenceOrderingModel.from_pretrained(orderer_folder, dtype=dtype)
        assert model.backbone.dtype == dtype
        assert model.ordering_head.projection.weight.dtype == torch.float32
        output = model(**twenty_sentences)
        assert output.loss.dtype == output.logits.dtype == torch.float32
        assert len(output.logits.unique()) == 20

    def test_head_computes_in_float32_after_a_cast(self, model, twenty_sentences):
        output = model.to(torch.bfloat16)(**twenty_sentences)
        assert output.loss.dtype == output.logits.dtype == torch.float32
        assert len(output.logits.unique()) == 20

    def test_head_and_loss_stay_float32_under_autocast(self, model, twenty_sentences):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = model(**twenty_sentences)
        assert output.loss.dtype == output.logits.dtype == torch.float32
        assert len(output.logits.unique()) == 20

    @pytest.mark.parametrize("autocast", [False, True])
    def test_mean_is_taken_in_float32(self, autocast, model, twenty_sentences):
        model.config.pooling = "mean"
        model = model if autocast else model.to(torch.bfloat16)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            hidden = model.backbone(twenty_sentences["input_ids"]).last_hidden_state[0].float()
            logits = model(**twenty_sentences).logits[0]
        starts = (twenty_sentences["input_ids"][0] == 1).nonzero()[:, 0].tolist()
        means = [hidden[a:b].mean(0) for a, b in zip(starts, [*starts[1:], len(hidden)], strict=True)]
        torch.testing.assert_close(logits, naive_scores(model, torch.stack(means)), atol=1e-5, rtol=1e-5)

    def test_new_head_is_float32_around_a_half_precision_encoder(self, encoder_folder, bert_config):
        loaded = AutoModelForSentenceOrdering.from_pretrained(encoder_folder, dtype=torch.bfloat16)
        built = AutoModelForSentenceOrdering.from_config(bert_config, sentence_token_id=1, dtype=torch.bfloat16)
        for model in (loaded, built):
            assert model.backbone.dtype == torch.bfloat16
            assert model.ordering_head.projection.weight.dtype == torch.float32


class TestSaving:
    def test_every_weight_survives_two_rounds(self, model, tmp_path):
        model.save_pretrained(tmp_path / "1")
        SentenceOrderingModel.from_pretrained(tmp_path / "1").save_pretrained(tmp_path / "2")
        loaded = AutoModel.from_pretrained(tmp_path / "2")
        assert type(loaded) is SentenceOrderingModel
        assert_same_weights(model, loaded)

    def test_only_safetensors_are_written(self, orderer_folder):
        assert (orderer_folder / "model.safetensors").exists()
        assert not list(orderer_folder.glob("*.bin"))

    def test_plain_encoder_is_refused(self, encoder_folder):
        with pytest.raises(ValueError, match="AutoModelForSentenceOrdering.from_pretrained"):
            SentenceOrderingModel.from_pretrained(encoder_folder)

    def test_plain_encoder_is_refused_with_a_configuration_of_ours_too(self, masked_lm_folder, bert_config):
        config = SentenceOrderingConfig(bert_config, sentence_token_id=1)
        for auto_class in (SentenceOrderingModel, AutoModelForSentenceOrdering):
            with pytest.raises(ValueError, match="holds a 'bert' model, not a saved sentence orderer"):
                auto_class.from_pretrained(masked_lm_folder, config=config)

    def test_configuration_may_be_given_for_a_saved_orderer(self, orderer_folder):
        config = SentenceOrderingConfig.from_pretrained(orderer_folder, pooling="mean")
        assert AutoModelForSentenceOrdering.from_pretrained(orderer_folder, config=config).config.pooling == "mean"

    @pytest.mark.parametrize("encoder_decoder", [False, True])
    def test_saved_configuration_is_that_of_the_backbone(self, encoder_decoder, bert_config):
        long_t5 = LongT5Config(vocab_size=99, d_model=32, num_layers=1, num_heads=2, d_kv=16, d_ff=64)
        backbone = long_t5 if encoder_decoder else bert_config
        model = AutoModelForSentenceOrdering.from_config(backbone, sentence_token_id=1)
        assert model.config.backbone_config is model.backbone.config

    def test_resized_embeddings_survive(self, model, batch, tmp_path):
        before = model(**batch).logits
        model.resize_token_embeddings(model.config.backbone_config.vocab_size + 3)
        model.save_pretrained(tmp_path)
        loaded = SentenceOrderingModel.from_pretrained(tmp_path)
        assert loaded.get_input_embeddings().weight.shape[0] == loaded.config.backbone_config.vocab_size
        assert loaded.get_input_embeddings().weight.equal(model.get_input_embeddings().weight)
        torch.testing.assert_close(loaded(**batch).logits, before)

    @pytest.mark.parametrize("implementation", ["eager", "sdpa"])
    def test_attention_reaches_the_backbone(self, implementation, orderer_folder):
        model = AutoModel.from_pretrained(orderer_folder, attn_implementation=implementation)
        assert model.backbone.config._attn_implementation == implementation

    def test_activation_checkpointing_keeps_loss_and_gradients(self, model, batch):
        for dropout in (m for m in model.modules() if isinstance(m, torch.nn.Dropout)):
            dropout.p = 0.0
        model.train()
        loss, gradients = backward(model, [batch])
        model.activation_checkpointing_enable()
        assert model.is_activation_checkpointing
        checkpointed_loss, checkpointed = backward(model, [batch])
        assert checkpointed_loss == pytest.approx(loss)
        for name, gradient in gradients.items():
            torch.testing.assert_close(checkpointed[name], gradient)

    @pytest.mark.parametrize("pooler", ["left out", "frozen"])
    def test_every_trainable_parameter_gets_a_gradient(self, pooler, model, batch):
        if pooler == "frozen":  # SqueezeBERT always builds its pooler.
            backbone = SqueezeBertConfig(
                vocab_size=600,
                embedding_size=32,
                hidden_size=32,
                num_hidden_layers=1,
                num_attention_heads=4,
                intermediate_size=64,
            )
            model = AutoModelForSentenceOrdering.from_config(backbone, sentence_token_id=1)
        assert (getattr(model.backbone, "pooler", None) is None) == (pooler == "left out")
        model(**batch).loss.backward()
        assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []

    def test_loading_needs_no_network_in_the_constructor(self, model, orderer_folder):
        config = SentenceOrderingConfig.from_pretrained(orderer_folder)
        config.backbone_config._name_or_path = "nobody/nothing"
        assert SentenceOrderingModel(config).backbone.config.hidden_size == 32

    def test_fresh_process_scores_the_same(self, model, orderer_folder, python):
        ids = torch.tensor([[1, 20, 21, 1, 22, 1, 30]])
        code = (
            "import json, sys, torch, sentence_ordering\n"
            "from transformers import AutoModel\n"
            "model = AutoModel.from_pretrained(sys.argv[1])\n"
            f"print(json.dumps(model(torch.tensor({ids.tolist()})).logits.tolist()))"
        )
        run = subprocess.run([python, "-c", code, orderer_folder], capture_output=True, text=True, check=True)
        torch.testing.assert_close(torch.tensor(json.loads(run.stdout)), model(ids).logits, atol=1e-6, rtol=1e-6)


def assert_same_weights(one, other):
    states, others = one.state_dict(), other.state_dict()
    assert states.keys() == others.keys()
    for name, weight in states.items():
        assert weight.equal(others[name]), name
