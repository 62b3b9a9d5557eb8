"""`ordering_trainer` and its callback, around the stock Trainer."""

import copy
import shutil

import pytest
import torch
from datasets import Dataset, IterableDataset, concatenate_datasets
from transformers import (
    AutoTokenizer,
    BertModel,
    EvalPrediction,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    pipeline,
)

from sentence_ordering import (
    AutoModelForSentenceOrdering,
    DataCollatorForSentenceOrdering,
    OrderingCallback,
    ShuffledDocuments,
    fit_confidence,
    fit_head,
    ordering_trainer,
    prepare_dataset,
)
from sentence_ordering.training import callback as callback_module


@pytest.fixture
def arguments(tmp_path):
    """Stock arguments for a run of two steps without output."""

    def make(**options):
        defaults = {"max_steps": 2, "per_device_train_batch_size": 8, "learning_rate": 1e-3, "save_strategy": "no"}
        quiet = {"report_to": "none", "use_cpu": True, "disable_tqdm": True}
        return TrainingArguments(str(tmp_path / "run"), **defaults | quiet | options)

    return make


def weight_of(model):
    return model.ordering_head.projection.weight.detach().clone()


def test_one_call_leaves_an_orderer_that_tells_confidence(encoder_folder, stories, arguments, tmp_path):
    trainer = ordering_trainer(
        encoder_folder, arguments(), train_dataset=stories[:40], eval_dataset=stories[40:60], pooling="mean"
    )
    assert type(trainer) is Trainer
    trainer.train()
    trainer.save_model()
    order = pipeline("sentence-ordering", model=str(tmp_path / "run"))
    assert order.model.config.pooling == "mean"
    assert 0.5 <= order(stories[0])["confidence"] <= 1
    assert order.tokenizer.cls_token == "[CLS]"


class TestArguments:
    def test_the_callers_are_not_changed(self, encoder_folder, stories, arguments):
        args = arguments()
        before = args.to_dict()
        trainer = ordering_trainer(encoder_folder, args, train_dataset=stories[:8])
        assert trainer.args.train_sampling_strategy == "sequential"
        assert args.to_dict() == before

    def test_keywords_of_the_trainer_go_through(self, encoder_folder, stories, arguments):
        class Mine(TrainerCallback):
            pass

        trainer = ordering_trainer(
            encoder_folder,
            arguments(),
            train_dataset=stories[:8],
            eval_dataset=stories[8:12],
            callbacks=[Mine()],
            compute_metrics=lambda prediction: {"mine": 1.0},
        )
        assert {Mine, OrderingCallback} <= {type(callback) for callback in trainer.callback_handler.callbacks}
        assert trainer.evaluate()["eval_mine"] == 1.0

    def test_fields_go_with_names_only(self, model, tokenizer, stories, arguments):
        with pytest.raises(TypeError, match="does not know 'pooling'"):
            ordering_trainer(model, arguments(), processing_class=tokenizer, train_dataset=stories[:8], pooling="mean")

    def test_a_function_that_makes_models_is_refused(self, model, tokenizer, arguments):
        with pytest.raises(TypeError, match="`model_init` makes a model for each trial"):
            ordering_trainer(model, arguments(), processing_class=tokenizer, model_init=lambda: model)

    def test_a_model_of_another_kind_is_refused(self, tokenizer, arguments):
        with pytest.raises(TypeError, match="is of type Linear"):
            ordering_trainer(torch.nn.Linear(1, 1), arguments(), processing_class=tokenizer)

    def test_a_model_whose_tokenizer_is_not_known_asks_for_it(self, model, stories, arguments, tmp_path):
        model.name_or_path = str(tmp_path / "nowhere")
        with pytest.raises(ValueError, match="Pass it: `processing_class=tokenizer`"):
            ordering_trainer(model, arguments(), train_dataset=stories[:8])

    def test_what_does_not_fit_is_refused(self, encoder_folder, arguments):
        with pytest.raises(ValueError, match="label_smoothing_factor=0.1. cannot be used: positions are no classes"):
            ordering_trainer(encoder_folder, arguments(label_smoothing_factor=0.1))


class TestDocuments:
    def rows_of(self, documents, model, tokenizer, arguments):
        trainer = ordering_trainer(model, arguments(), processing_class=tokenizer, train_dataset=documents)
        return trainer.train_dataset.dataset[:]["input_ids"]

    def test_every_form_gives_the_same_rows(self, model, tokenizer, stories, arguments):
        forms = (
            stories[:8],
            [{"sentences": story} for story in stories[:8]],
            Dataset.from_dict({"sentences": stories[:8]}),
            prepare_dataset(Dataset.from_dict({"sentences": stories[:8]}), tokenizer, model.config, seed=42),
        )
        first, *others = [self.rows_of(form, model, tokenizer, arguments) for form in forms]
        assert others == [first] * 3

    def test_shuffled_documents_stay_as_they_are(self, model, tokenizer, stories, arguments):
        rows = prepare_dataset(Dataset.from_dict({"sentences": stories[:8]}), tokenizer, model.config)
        shuffled = ShuffledDocuments(rows, model.config, seed=7)
        trainer = ordering_trainer(model, arguments(), processing_class=tokenizer, train_dataset=shuffled)
        assert trainer.train_dataset is shuffled

    def test_a_stream_trains_for_max_steps(self, model, tokenizer, stories, arguments):
        stream = IterableDataset.from_generator(lambda: ({"sentences": story} for story in stories[:40]))
        trainer = ordering_trainer(model, arguments(), processing_class=tokenizer, train_dataset=stream)
        before = weight_of(model)
        trainer.train()
        assert trainer.state.global_step == 2
        assert not weight_of(model).equal(before)

    def test_a_stream_that_began_again_is_resumed_exactly(self, encoder_folder, stories, arguments):
        def train(**options):
            stream = Dataset.from_dict({"sentences": stories[:20]}).to_iterable_dataset(num_shards=2)
            trainer = ordering_trainer(
                encoder_folder,
                arguments(max_steps=9, save_strategy="steps", save_steps=7, per_device_train_batch_size=4),
                train_dataset=stream.shuffle(seed=1, buffer_size=8),
            )
            trainer.train(**options)
            assert trainer.state.global_step == 9
            return weight_of(trainer.model), trainer.args.output_dir

        weight, folder = train()
        assert train(resume_from_checkpoint=f"{folder}/checkpoint-7")[0].equal(weight)

    def test_an_empty_stream_is_refused(self, model, tokenizer, arguments):
        stream = IterableDataset.from_generator(lambda: iter([{"sentences": ["One."]}]))
        with pytest.raises(ValueError, match="There is nothing to train on"):
            ordering_trainer(model, arguments(), processing_class=tokenizer, train_dataset=stream)

    def test_a_stream_without_max_steps_is_refused(self, model, tokenizer, stories, arguments):
        stream = IterableDataset.from_generator(lambda: ({"sentences": story} for story in stories[:8]))
        with pytest.raises(ValueError, match="set `max_steps`"):
            ordering_trainer(model, arguments(max_steps=-1), processing_class=tokenizer, train_dataset=stream)

    def test_several_validation_sets_are_measured_by_name(self, model, tokenizer, stories, arguments):
        named = {"one": stories[8:12], "two": stories[12:16]}
        trainer = ordering_trainer(
            model, arguments(), processing_class=tokenizer, train_dataset=stories[:8], eval_dataset=named
        )
        assert {"eval_one_kendall_tau", "eval_two_kendall_tau"} <= trainer.evaluate().keys()
        trainer.train()
        assert model.config.confidence_slope is not None

    def test_one_document_is_not_taken_for_several(self, model, tokenizer, stories, arguments):
        with pytest.raises(TypeError, match="document 0: a document is a list of sentences"):
            ordering_trainer(model, arguments(), processing_class=tokenizer, train_dataset=stories[0])

    @pytest.mark.parametrize("documents", [42, "Tom bought a cake.", iter([])])
    def test_other_kinds_are_refused(self, documents, model, tokenizer, arguments):
        with pytest.raises(TypeError, match="Documents come as a Dataset"):
            ordering_trainer(model, arguments(), processing_class=tokenizer, train_dataset=documents)


class TestCallback:
    def make_stock_trainer(self, model, tokenizer, stories, args, callback):
        rows = prepare_dataset(Dataset.from_dict({"sentences": stories[:60]}), tokenizer, model.config)
        return Trainer(
            model,
            args,
            train_dataset=ShuffledDocuments(rows.select(range(40)), model.config),
            eval_dataset=rows.select(range(40, 60)),
            data_collator=DataCollatorForSentenceOrdering(tokenizer, model.config),
            processing_class=tokenizer,
            callbacks=[callback],
        )

    def test_a_new_head_is_fitted_before_the_first_step(self, model, tokenizer, stories, arguments):
        trainer = self.make_stock_trainer(model, tokenizer, stories, arguments(learning_rate=0), OrderingCallback())
        expected = copy.deepcopy(model)
        fit_head(expected, trainer.train_dataset.dataset, trainer.data_collator)
        trainer.train()
        assert weight_of(model).equal(weight_of(expected))

    def test_a_loaded_head_is_kept(self, orderer_folder, tokenizer, stories, arguments):
        loaded = AutoModelForSentenceOrdering.from_pretrained(orderer_folder)
        before = weight_of(loaded)
        self.make_stock_trainer(loaded, tokenizer, stories, arguments(learning_rate=0), OrderingCallback()).train()
        assert weight_of(loaded).equal(before)

    def test_a_head_that_got_its_weights_by_hand_is_kept(self, model, tokenizer, stories, arguments):
        model.load_state_dict(model.state_dict())
        before = weight_of(model)
        self.make_stock_trainer(model, tokenizer, stories, arguments(learning_rate=0), OrderingCallback()).train()
        assert weight_of(model).equal(before)

    def test_a_resumed_run_ends_like_an_undisturbed_one(self, encoder_folder, tokenizer, stories, arguments, tmp_path):
        def train(output, steps, resume=None):
            fresh = AutoModelForSentenceOrdering.from_pretrained(encoder_folder)
            torch.nn.init.ones_(fresh.ordering_head.projection.weight)
            args = arguments(max_steps=4, save_strategy="steps", save_steps=2)
            args.output_dir = str(output)

            class Stop(TrainerCallback):
                def on_step_end(self, args, state, control, **kwargs):
                    control.should_training_stop = state.global_step == steps

            trainer = self.make_stock_trainer(fresh, tokenizer, stories, args, OrderingCallback())
            trainer.add_callback(Stop())
            trainer.train(resume_from_checkpoint=resume)
            return fresh

        whole = train(tmp_path / "whole", steps=4)
        train(tmp_path / "cut", steps=2)
        resumed = train(tmp_path / "cut", steps=4, resume=True)
        assert weight_of(resumed).equal(weight_of(whole))

    @pytest.mark.parametrize("named", [True, False])
    @pytest.mark.parametrize("length", [{"max_steps": 3}, {"max_steps": -1, "num_train_epochs": 1.5}])
    def test_no_step_too_many_is_made_from_a_checkpoint_behind_the_last(
        self, length, named, encoder_folder, stories, arguments
    ):
        def make_trainer(**options):
            args = arguments(save_strategy="steps", save_steps=1, **options)
            return ordering_trainer(encoder_folder, args, train_dataset=stories[:16])

        trainer = make_trainer(**length)
        trainer.train()
        assert trainer.state.global_step == 3
        checkpoint = f"{trainer.args.output_dir}/checkpoint-3"
        with pytest.raises(ValueError, match="All 3 steps are in .*checkpoint-3 already"):
            make_trainer(**length).train(resume_from_checkpoint=checkpoint if named else True)
        whole_epochs = make_trainer(max_steps=-1, num_train_epochs=2)
        whole_epochs.train(resume_from_checkpoint=checkpoint)
        whole_epochs = make_trainer(max_steps=-1, num_train_epochs=2)
        whole_epochs.train(resume_from_checkpoint=True)  # No epoch is left, and so no step is made.
        assert whole_epochs.state.global_step == 4

    def test_confidence_is_that_of_the_trained_weights(self, model, tokenizer, stories, arguments):
        callback = OrderingCallback()
        trainer = self.make_stock_trainer(model, tokenizer, stories, arguments(eval_strategy="steps"), callback)
        trainer.train()
        expected = fit_confidence(trainer.predict(trainer.eval_dataset))
        assert model.config.confidence_slope == pytest.approx(expected, rel=1e-4)

    def test_confidence_is_fitted_on_all_of_several_corpora(self, encoder_folder, stories, arguments, monkeypatch):
        monkeypatch.setattr(callback_module, "CONFIDENCE_DOCUMENTS", 20)
        right, wrong = stories[40:60], [story[::-1] for story in stories[40:60]]
        args = arguments(learning_rate=0)
        held_out = {"right": right, "wrong": wrong}
        trainer = ordering_trainer(encoder_folder, args, train_dataset=stories[:40], eval_dataset=held_out)
        trainer.train()
        [rows, turned] = (trainer.eval_dataset[name].select([0, 2, 4, 6, 8, 10, 12, 14, 16, 19]) for name in held_out)
        expected = fit_confidence(trainer.predict(concatenate_datasets([rows, turned])))
        assert trainer.model.config.confidence_slope == pytest.approx(expected, rel=1e-4)

    def test_confidence_is_fitted_on_several_streams(self, encoder_folder, stories, arguments):
        held_out = {
            name: Dataset.from_dict({"sentences": documents}).to_iterable_dataset()
            for name, documents in {"one": stories[40:50], "other": stories[50:60]}.items()
        }
        args = arguments(learning_rate=0)
        trainer = ordering_trainer(encoder_folder, args, train_dataset=stories[:40], eval_dataset=held_out)
        trainer.train()
        together = ordering_trainer(encoder_folder, args, train_dataset=stories[:40], eval_dataset=stories[40:60])
        together.train()
        expected = together.model.config.confidence_slope
        assert trainer.model.config.confidence_slope == pytest.approx(expected, rel=1e-4)

    def test_confidence_is_that_of_the_best_weights(self, model, tokenizer, stories, arguments):
        args = arguments(
            max_steps=4,
            eval_strategy="steps",
            eval_steps=2,
            save_strategy="steps",
            save_steps=2,
            load_best_model_at_end=True,
            metric_for_best_model="loss",
        )

        class Ruin(TrainerCallback):
            """Turns the head around behind the first evaluation."""

            def on_step_begin(self, args, state, control, model, **kwargs):
                if state.global_step == 2:
                    model.ordering_head.projection.weight.data.mul_(-5)

        trainer = self.make_stock_trainer(model, tokenizer, stories, args, OrderingCallback())
        trainer.add_callback(Ruin())
        trainer.train()
        assert trainer.state.best_global_step == 2
        expected = fit_confidence(trainer.predict(trainer.eval_dataset))
        assert model.config.confidence_slope == pytest.approx(expected, rel=1e-4)

    def test_without_held_out_documents_stale_confidence_goes(self, model, tokenizer, stories, arguments):
        model.config.confidence_slope = 3.0
        self.make_stock_trainer(model, tokenizer, stories, arguments(), OrderingCallback()).train()
        assert model.config.confidence_slope is None

    def test_adapters_train_the_fitted_head(self, encoder_folder, stories, arguments):
        pytest.importorskip("peft")
        trainer = ordering_trainer(
            encoder_folder, arguments(), train_dataset=stories[:40], eval_dataset=stories[40:60], lora_rank=2
        )
        untrained = copy.deepcopy(trainer.model)
        trainer.train()
        config = trainer.model.config
        assert config.confidence_slope is not None
        heads = [
            dict(m.named_parameters())["base_model.model.ordering_head.modules_to_save.default.projection.weight"]
            for m in (untrained, trainer.model)
        ]
        assert not heads[0].equal(heads[1])


def test_metrics_of_a_named_model_are_those_of_compute_metrics(encoder_folder, stories, arguments):
    trainer = ordering_trainer(encoder_folder, arguments(), eval_dataset=stories[:20])
    prediction = trainer.predict(trainer.eval_dataset)
    expected = trainer.compute_metrics(EvalPrediction(prediction.predictions, prediction.label_ids))
    assert prediction.metrics["test_kendall_tau"] == expected["kendall_tau"]


def test_an_encoder_without_a_tokenizer_is_not_trained_on_empty_text(bert_config, arguments, tmp_path):
    BertModel(bert_config).save_pretrained(tmp_path / "bare")
    with pytest.raises(ValueError, match="No tokenizer could be loaded from .* Pass it: `processing_class=tokenizer`"):
        ordering_trainer(tmp_path / "bare", arguments(), train_dataset=[["a", "b"]], sentence_token_id=1)


def test_a_seed_for_the_documents_alone_shuffles_them(encoder_folder, stories, arguments):
    def first_batch(**seeds):
        trainer = ordering_trainer(encoder_folder, arguments(**seeds), train_dataset=stories[:40])
        return next(iter(trainer.get_train_dataloader()))["input_ids"]

    assert not torch.equal(first_batch(data_seed=1), first_batch(data_seed=2))
    assert torch.equal(first_batch(data_seed=42), first_batch(seed=42))


def test_what_is_no_model_is_told_by_its_type(arguments):
    with pytest.raises(TypeError, match="must be a name or a SentenceOrderingModel, but is of type int"):
        ordering_trainer(123, arguments(), train_dataset=[["a", "b"]])


def test_tokenizer_comes_from_where_the_model_comes_from(encoder_folder, stories, arguments, tmp_path):
    shutil.copytree(encoder_folder, tmp_path / "encoders" / "small")
    trainer = ordering_trainer(
        str(tmp_path / "encoders"), arguments(), train_dataset=stories[:8], subfolder="small", local_files_only=True
    )
    assert len(trainer.processing_class) == trainer.model.config.backbone_config.vocab_size


def test_tokenizer_is_found_beside_the_model(encoder_folder, stories, arguments):
    model = AutoModelForSentenceOrdering.from_pretrained(encoder_folder)
    model.save_pretrained(encoder_folder.parent / "saved")
    AutoTokenizer.from_pretrained(encoder_folder).save_pretrained(encoder_folder.parent / "saved")
    loaded = AutoModelForSentenceOrdering.from_pretrained(encoder_folder.parent / "saved")
    assert ordering_trainer(loaded, arguments(), train_dataset=stories[:8]).processing_class.cls_token == "[CLS]"
