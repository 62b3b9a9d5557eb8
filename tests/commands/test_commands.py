import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict
from transformers import AutoTokenizer, TrainingArguments, pipeline, set_seed

from sentence_ordering import (
    AutoModelForSentenceOrdering,
    DataCollatorForSentenceOrdering,
    commands,
    compute_metrics,
    prepare_dataset,
)
from sentence_ordering.commands import train, train_arguments
from sentence_ordering.commands.answering import ADDED
from sentence_ordering.data import load_documents, shuffle_document
from sentence_ordering.training.linear_probe import fit_head

REPOSITORY = Path(__file__).parents[2]


def run_train(encoder, output, *options):
    common = ["--model", str(encoder), "--output_dir", str(output), "--report_to", "none", "--use_cpu"]
    commands.main(["train", *common, "--disable_tqdm", "true", *options])


def write_checkpoints(folder, epochs):
    """Write the states of checkpoints: how many epochs were done at which step."""
    for step, epoch in epochs.items():
        (folder / f"checkpoint-{step}").mkdir()
        state = {"global_step": step, "epoch": epoch}
        (folder / f"checkpoint-{step}" / "trainer_state.json").write_text(json.dumps(state))


def choose_checkpoint(folder, asked="true", **options):
    """Tell from which checkpoint `--resume_from_checkpoint` goes on."""
    args = TrainingArguments(str(folder), resume_from_checkpoint=str(asked), use_cpu=True, **options)
    train_arguments.check_resumable(args)
    return Path(args.resume_from_checkpoint)


class TestTrain:
    def test_trains_saves_and_prints_metrics(self, encoder_folder, tmp_path, capsys):
        run_train(encoder_folder, tmp_path, "--dataset", "bigbench_narratives", "--max_steps", "2", "--pooling", "mean")
        table = capsys.readouterr().out
        assert "random orders  before fine-tuning             trained" in table
        assert table.rstrip().endswith("42 documents")
        model = AutoModelForSentenceOrdering.from_pretrained(tmp_path)
        assert model.config.pooling == "mean"
        saved = json.loads((tmp_path / "eval_results.json").read_text())
        assert f"{saved['eval_kendall_tau']:.3f}" in table
        card = (tmp_path / "README.md").read_text()
        assert f"| Kendall's tau | {saved['eval_kendall_tau']:.3f} |" in card
        assert "Sue's group at work did a great job" in card
        assert sorted(pipeline("sentence-ordering", model=str(tmp_path))(["a", "b"])["order"]) == [0, 1]

    def test_a_new_head_is_fitted_and_that_of_an_orderer_kept(self, encoder_folder, tmp_path, stories):
        (tmp_path / "train.jsonl").write_text("".join(json.dumps({"sentences": story}) + "\n" for story in stories))
        options = ["--train_file", str(tmp_path / "train.jsonl"), "--max_steps", "1", "--learning_rate", "0"]
        run_train(encoder_folder, tmp_path / "one", *options, "--pooling", "mean")
        run_train(tmp_path / "one", tmp_path / "two", *options, "--seed", "1")
        one, two = (AutoModelForSentenceOrdering.from_pretrained(tmp_path / name) for name in ("one", "two"))
        assert one.ordering_head.projection.weight.equal(two.ordering_head.projection.weight)
        set_seed(42)
        expected = AutoModelForSentenceOrdering.from_pretrained(encoder_folder, pooling="mean")
        tokenizer = AutoTokenizer.from_pretrained(encoder_folder)
        documents = prepare_dataset(Dataset.from_dict({"sentences": stories}), tokenizer, expected.config, seed=42)
        fit_head(expected, documents, DataCollatorForSentenceOrdering(tokenizer, expected.config))
        assert one.ordering_head.projection.weight.equal(expected.ordering_head.projection.weight)

    def test_files_are_trained_on_and_resumed(self, encoder_folder, tmp_path, stories):
        for name, documents in (("train", stories[:30]), ("valid", stories[30:40])):
            (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"lines": d}) + "\n" for d in documents))
        options = ["--train_file", str(tmp_path / "train.jsonl"), "--validation_file", str(tmp_path / "valid.jsonl")]
        options += ["--sentences_column", "lines", "--save_steps", "2"]
        run_train(encoder_folder, tmp_path / "out", *options, "--max_steps", "2")
        run_train(encoder_folder, tmp_path / "out", *options, "--max_steps", "4", "--resume_from_checkpoint", "true")
        state = json.loads((tmp_path / "out" / "trainer_state.json").read_text())
        assert state["global_step"] == 4
        assert (tmp_path / "out" / "checkpoint-4").is_dir()

    def test_a_checkpoint_that_was_cut_off_is_passed_over(self, tmp_path):
        write_checkpoints(tmp_path, {2: 0.2, 10: 1.0})
        for step, state in ((12, '{"global_step": 1'), (14, None)):
            (tmp_path / f"checkpoint-{step}").mkdir()
            if state is not None:
                (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
        assert choose_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
        with pytest.raises(ValueError, match="There is no whole checkpoint .*-12 to resume from"):
            choose_checkpoint(tmp_path, tmp_path / "checkpoint-12")

    @pytest.mark.parametrize(
        ("options", "chosen"),
        [
            ({"max_steps": 10}, 2),
            ({"max_steps": 11}, 10),
            ({"num_train_epochs": 1.5}, 2),
            ({"num_train_epochs": 1.7}, 10),
            ({"num_train_epochs": 1}, 10),  # No epoch is left, and so no step is made.
        ],
    )
    def test_no_step_too_many_is_made_from_a_checkpoint_behind_the_last(self, options, chosen, tmp_path):
        write_checkpoints(tmp_path, {2: 0.32, 10: 1.6})
        assert choose_checkpoint(tmp_path, **options) == tmp_path / f"checkpoint-{chosen}"
        named = tmp_path / "checkpoint-10"
        if chosen == 10:
            assert choose_checkpoint(tmp_path, named, **options) == named
        else:
            with pytest.raises(ValueError, match="All 10 steps are in .*-10 already, .* Resume from an earlier"):
                choose_checkpoint(tmp_path, named, **options)

    def test_early_stopping_is_an_option(self, encoder_folder, tmp_path, stories):
        for name, documents in (("train", stories[:16]), ("validation", stories[16:24])):
            (tmp_path / f"{name}.txt").write_text("\n\n".join("\n".join(story) for story in documents))
        options = [f"--{name}_file={tmp_path / name}.txt" for name in ("train", "validation")]
        options += [
            "--learning_rate",
            "0",
            "--num_train_epochs",
            "9",
            "--eval_strategy",
            "epoch",
            "--save_strategy",
            "epoch",
        ]
        options += ["--load_best_model_at_end", "--metric_for_best_model", "kendall_tau"]
        run_train(encoder_folder, tmp_path, *options, "--early_stopping_patience", "1")
        assert json.loads((tmp_path / "trainer_state.json").read_text())["epoch"] == 2

    def test_validation_documents_of_single_sentences_are_refused(self, encoder_folder, tmp_path, stories):
        (tmp_path / "train.txt").write_text("\n\n".join("\n".join(story) for story in stories[:8]))
        (tmp_path / "single.txt").write_text("Alone.\n\nAlone, too.")
        files = [f"--train_file={tmp_path}/train.txt", f"--validation_file={tmp_path}/single.txt"]
        with pytest.raises(SystemExit, match="No validation document has two sentences"):
            run_train(encoder_folder, tmp_path / "out", *files)

    def test_corpus_without_validation_split_is_trained_on(self, encoder_folder, tmp_path, stories, capsys):
        (tmp_path / "train.txt").write_text("\n\n".join("\n".join(story) for story in stories[:8]))
        run_train(encoder_folder, tmp_path / "out", "--train_file", str(tmp_path / "train.txt"), "--max_steps", "1")
        assert "random orders" not in capsys.readouterr().out
        assert (tmp_path / "out" / "model.safetensors").exists()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ([], "either `--dataset` or `--train_file`"),
            (["--dataset", "bigbench_narratives", "--train_file", "x"], "either `--dataset` or `--train_file`"),
            (["--dataset", "bigbench_narratives", "--validation_file", "x"], "`--validation_file` goes with"),
            (["--train_file", "x.jsonl", "--train_split", "x"], "name splits of a dataset"),
            (["--train_file", "x.jsonl", "--validation_split", "x"], "name splits of a dataset"),
            (
                ["--dataset", "bigbench_narratives", "--train_split", "x"],
                "no split 'x', only .'train', 'validation'.",
            ),
            (
                ["--dataset", "bigbench_narratives", "--validation_split", "x"],
                "no split 'x', only .'train', 'validation'.",
            ),
            (["--dataset", "absent.jsonl"], "There is no file 'absent.jsonl'"),
            (
                ["--dataset", "bigbench_narratives", "--early_stopping_patience", "2"],
                "compares evaluations. Add `--eval_strategy epoch",
            ),
            (["--dataset", "bigbench_narratives", "--sentences_column", "x"], "no column 'x', only .'id', 'sentences'"),
            *(
                (["--dataset", "bigbench_narratives", f"--{name}", value], f"`{name}={value}` cannot be used: {why}")
                for name, value, why in (
                    ("bf16_full_eval", "True", "it would leave the weights in half precision; `bf16`"),
                    ("fp16_full_eval", "True", "it would leave the weights in half precision; `fp16`"),
                    ("label_smoothing_factor", "0.1", "positions are no classes"),
                    ("prediction_loss_only", "True", "metrics and confidence are computed from scores"),
                    ("eval_do_concat_batches", "False", "metrics and confidence are computed from all scores"),
                    ("batch_eval_metrics", "True", "metrics are computed from all scores"),
                )
            ),
        ],
    )
    def test_unclear_options_are_refused_in_one_line(self, options, message, encoder_folder, tmp_path):
        with pytest.raises(SystemExit, match=message):
            run_train(encoder_folder, tmp_path, *options)

    def test_same_seed_gives_the_same_weights(self, encoder_folder, tmp_path):
        options = ["--dataset", "bigbench_narratives", "--max_steps", "3", "--scale_positions", "true", "--seed", "5"]
        for name in ("one", "other"):
            run_train(encoder_folder, tmp_path / name, *options)
        weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "other")]
        assert weights[0] == weights[1]

    def test_confidence_of_an_earlier_training_is_forgotten(self, encoder_folder, tmp_path):
        run_train(encoder_folder, tmp_path / "one", "--dataset", "bigbench_narratives", "--max_steps", "1")
        corpus = files("sentence_ordering") / "corpora" / "bigbench_narratives.validation.jsonl"
        run_train(tmp_path / "one", tmp_path / "two", "--train_file", str(corpus), "--max_steps", "1")
        one, two = (AutoModelForSentenceOrdering.from_pretrained(tmp_path / name).config for name in ("one", "two"))
        assert one.confidence_slope is not None
        assert two.confidence_slope is None

    def test_trainer_is_stock_and_its_data_ordered_by_themselves(self, encoder_folder, tmp_path):
        from transformers import Trainer, TrainingArguments

        from sentence_ordering.commands.arguments import parse_arguments

        argv = ["--model", str(encoder_folder), "--output_dir", str(tmp_path), "--use_cpu", "--scale_positions", "true"]
        argv += ["--dataset", "bigbench_narratives", "--per_device_train_batch_size", "8", "--report_to", "none"]
        argv += ["--per_device_eval_batch_size", "64", "--seed", "5"]
        types = (train_arguments.ModelArguments, train_arguments.DataArguments, TrainingArguments)
        model_args, data_args, training_args = parse_arguments(types, argv, "train", None)
        trainer = train.make_trainer(model_args, data_args, training_args, data_args.load())
        assert type(trainer) is Trainer
        assert trainer.args.train_sampling_strategy == "sequential"
        assert trainer.train_dataset.group_by_length_of == 8
        assert trainer.train_dataset.seed == 5
        metrics = trainer.predict(trainer.eval_dataset, metric_key_prefix="eval").metrics
        assert metrics["eval_mse"] == pytest.approx(metrics["eval_loss"], rel=1e-5)

    def test_a_model_that_diverged_is_saved(self, encoder_folder, tmp_path):
        options = ["--dataset", "bigbench_narratives", "--max_steps", "2", "--learning_rate", "1e38"]
        with pytest.raises(SystemExit, match="was saved in .*, but not measured: .* scores are NaN or infinite"):
            run_train(encoder_folder, tmp_path, *options, "--max_grad_norm", "0", "--save_strategy", "no")
        assert AutoModelForSentenceOrdering.from_pretrained(tmp_path).config.confidence_slope is None

    def test_nothing_to_resume_from_is_told_in_one_line(self, encoder_folder, tmp_path):
        with pytest.raises(SystemExit, match="There is no checkpoint in .* to resume from"):
            run_train(encoder_folder, tmp_path, "--dataset", "bigbench_narratives", "--resume_from_checkpoint", "true")

    def test_corpus_of_short_documents_is_refused(self, encoder_folder, tmp_path):
        (tmp_path / "train.jsonl").write_text('{"sentences": ["alone"]}\n')
        with pytest.raises(SystemExit, match="nothing to train on: no document has 2 sentences"):
            run_train(encoder_folder, tmp_path / "out", "--train_file", str(tmp_path / "train.jsonl"))

    def test_validation_split_of_short_documents_is_left_out(self, encoder_folder, tmp_path, capsys):
        rows = {"train": ["a", "b"], "validation": ["alone"]}
        splits = {split: Dataset.from_dict({"sentences": [sentences]}) for split, sentences in rows.items()}
        DatasetDict(splits).save_to_disk(tmp_path / "saved")
        run_train(encoder_folder, tmp_path / "out", "--dataset", str(tmp_path / "saved"), "--max_steps", "1")
        assert "random orders" not in capsys.readouterr().out


class TestEvaluate:
    @pytest.fixture
    def run(self, orderer_folder, tmp_path):
        """Evaluate the orderer, and read what is left in the folder."""

        def run(*options, models=(orderer_folder,)):
            folder = tmp_path / "evaluation"
            commands.main(["evaluate", "--model", *map(str, models), "--output_dir", str(folder), *options])
            predictions = [json.loads(line) for line in (folder / "predictions.jsonl").open()]
            return json.loads((folder / "metrics.json").read_text()), predictions

        return run

    def test_metrics_and_predictions_agree(self, run, orderer_folder, tmp_path, capsys):
        report, predictions = run("--dataset", "bigbench_narratives", "--batch_size", "8", "--input_orders", "2")
        table = capsys.readouterr().out
        assert table == (tmp_path / "evaluation" / "report.md").read_text()
        model, *baselines = report["results"]
        assert (model["system"], model["corpus"]) == (str(orderer_folder), "bigbench_narratives (validation)")
        assert [baseline["system"] for baseline in baselines] == ["random order", "input order", "bag of words"]
        assert f"{model['metrics']['kendall_tau']['mean']:.3f}" in table
        assert [(p["row"], p["shuffle"]) for p in predictions] == [(row, k) for row in range(42) for k in range(2)]
        right = [prediction["labels"] == prediction["positions"] for prediction in predictions]
        assert sum(right) / 84 == pytest.approx(model["metrics"]["pmr"]["mean"])
        documents = load_documents("bigbench_narratives")["validation"]["sentences"]
        for prediction in predictions:
            sentences = documents[prediction["row"]]
            assert prediction["labels"] == shuffle_document(sentences, prediction["shuffle"]).tolist()
            read = [sentences[prediction["labels"][index]] for index in prediction["order"]]
            assert prediction["sentences"] == read
        page = (tmp_path / "evaluation" / "report.html").read_text()
        assert page.count("<figure>") == 3 and "The 10 worst documents of" in page

    def test_metrics_equal_those_of_the_trainer(self, model, tokenizer, run, tmp_path):
        from transformers import Trainer, TrainingArguments

        from sentence_ordering import DataCollatorForSentenceOrdering

        # The Trainer shortens documents that do not fit, where the pipeline orders them in windows.
        validation = load_documents("bigbench_narratives")["validation"].filter(lambda row: len(row["sentences"]) < 6)
        validation.to_json(tmp_path / "corpus.jsonl")
        report, _ = run("--file", str(tmp_path / "corpus.jsonl"), "--seed", "3", "--input_orders", "1")
        trainer = Trainer(
            model,
            TrainingArguments(str(tmp_path), report_to="none", use_cpu=True, disable_tqdm=True),
            data_collator=DataCollatorForSentenceOrdering(tokenizer, model.config),
            compute_metrics=compute_metrics,
        )
        expected = trainer.evaluate(prepare_dataset(validation, tokenizer, model.config, seed=3))
        metrics = report["results"][0]["metrics"]
        assert len(metrics) == 14
        means = {name: estimate["mean"] for name, estimate in metrics.items()}
        assert means == pytest.approx({name: expected[f"eval_{name}"] for name in metrics}, abs=1e-5)

    def test_every_model_is_measured_on_every_corpus(self, run, orderer_folder, tmp_path, stories, capsys):
        (tmp_path / "other").symlink_to(orderer_folder)
        for name, documents in (("train", stories[:40]), ("a", stories[40:43]), ("b", stories[43:47])):
            (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"sentences": d}) + "\n" for d in documents))
        models, files = (orderer_folder, tmp_path / "other"), [str(tmp_path / f"{name}.jsonl") for name in "ab"]
        report, predictions = run("--file", *files, "--input_orders", "1", models=models)
        models = [str(model) for model in models]
        pairs = {(result["system"], result["corpus"]) for result in report["results"] if not result["baseline"]}
        assert pairs == {(model, file) for model in models for file in files}
        assert {(p["model"], p["corpus"]) for p in predictions} == pairs
        assert len(predictions) == 2 * (3 + 4)
        assert "bag of words" not in capsys.readouterr().out
        report, _ = run(
            "--file", *files, "--train_file", str(tmp_path / "train.jsonl"), files[0], "--input_orders", "1"
        )
        bags = [result["corpus"] for result in report["results"] if result["system"] == "bag of words"]
        assert bags == files

    def test_probabilities_of_pairs_are_held_against_what_is_right(self, run, model, orderer_folder):
        report, _ = run("--dataset", "bigbench_narratives", "--input_orders", "1")
        assert report["results"][0]["calibration_error"] is None
        model.config.confidence_slope = 0.0  # Every pair is a toss-up.
        model.save_pretrained(orderer_folder)
        report, _ = run("--dataset", "bigbench_narratives", "--input_orders", "1")
        result = report["results"][0]
        errors = [abs(0.5 - group["right"]) * group["pairs"] for group in result["gaps"]]
        assert result["calibration_error"] == pytest.approx(sum(errors) / sum(g["pairs"] for g in result["gaps"]))

    def test_scores_of_several_shuffles_are_averaged(self, run, orderer_folder):
        _, [first, *_] = run("--dataset", "bigbench_narratives", "--input_orders", "1", "--num_shuffles", "3")
        given = [sentence for _, sentence in sorted(zip(first["order"], first["sentences"], strict=True))]
        order = pipeline("sentence-ordering", model=str(orderer_folder))
        assert first["scores"] == pytest.approx(order(given, num_shuffles=3)["scores"], abs=1e-5)
        assert first["scores"] != pytest.approx(order(given)["scores"], abs=1e-5)

    def test_shuffled_corpus_is_measured_by_its_positions(self, run, tmp_path):
        rows = [{"lines": ["c", "a", "b"], "places": [2, 0, 1]}, {"lines": ["x", "y"], "places": None}]
        (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        columns = ["--sentences_column", "lines", "--positions_column", "places"]
        report, predictions = run("--file", str(tmp_path / "corpus.jsonl"), *columns)
        assert [(r["documents"], r["documents_skipped"]) for r in report["results"]] == [(1, 1)] * 3
        first = predictions[0]
        assert first["labels"] == [2, 0, 1]
        assert first["sentences"] == [["c", "a", "b"][index] for index in first["order"]]

    def test_lists_of_a_csv_file_may_stand_in_any_column(self, run, tmp_path):
        (tmp_path / "corpus.csv").write_text('lines\n"[""a"", ""b"", ""c""]"\n')
        report, _ = run("--file", str(tmp_path / "corpus.csv"), "--sentences_column", "lines")
        assert [result["documents"] for result in report["results"]] == [1, 1, 1]

    def test_corpus_without_places_gives_null_metrics_and_question_marks(self, run, tmp_path, capsys):
        (tmp_path / "corpus.jsonl").write_text('{"sentences": ["a", "b"], "places": null}\n{"sentences": ["c"]}\n')
        report, predictions = run(
            "--file", str(tmp_path / "corpus.jsonl"), "--positions_column", "places", "--show", "1"
        )
        assert "      ?  b\n" in capsys.readouterr().out
        result = report["results"][0]
        assert (result["metrics"]["kendall_tau"]["mean"], result["documents"]) == (None, 0)
        assert len(predictions) == 10

    def test_documents_are_shown_with_their_right_places(self, orderer_folder, capsys):
        argv = ["evaluate", "--model", str(orderer_folder), "--dataset", "bigbench_narratives", "--show", "2"]
        commands.main(argv)
        shown = capsys.readouterr().out
        assert shown.count("place  right  sentence") == 2
        sentences = load_documents("bigbench_narratives")["validation"][0]["sentences"]
        for right, sentence in enumerate(sentences, start=1):
            assert f"{right:7}  {sentence}\n" in shown

    def test_without_matplotlib_the_way_to_get_plots_is_told(self, run, monkeypatch, capsys):
        monkeypatch.setattr("sentence_ordering.evaluation.plots.find_spec", lambda name: None)
        run("--dataset", "bigbench_narratives", "--input_orders", "1")
        assert 'report.html has no plots: install "sentence-ordering[plot]"' in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ([], "`--dataset`, `--file`, or both"),
            (["--dataset", "bigbench_narratives", "--split", "test"], "no split 'test'"),
            (["--dataset", "bigbench_narratives", "--train_split", "trian"], "no split 'trian'"),
            (["--dataset", "bigbench_narratives", "--sentences_column", "x"], "no column 'x', only .'id', 'sentences'"),
            (["--file", "absent.jsonl"], "There is no file 'absent.jsonl'"),
            (["--file", "a.txt", "b.txt", "--train_file", "c.txt"], "names 1 files for the 2 of `--file`"),
            (["--file", "a.txt", "--input_orders", "0"], "must be at least 1, but is 0"),
            (["--file", "a.txt", "--seed", "-1"], "`--seed` must be at least 0, but is -1"),
            (["--dataset", "bigbench_narratives", "--output_dir", __file__], "File exists"),
        ],
    )
    def test_unclear_options_are_refused_in_one_line(self, options, message, orderer_folder):
        with pytest.raises(SystemExit, match=message) as exit_:
            commands.main(["evaluate", "--model", str(orderer_folder), *options])
        assert "\n" not in exit_.value.code

    def test_what_is_no_orderer_is_refused_before_anything_is_measured(
        self, run, orderer_folder, encoder_folder, capsys
    ):
        with pytest.raises(SystemExit, match="holds a 'bert' model, not a saved sentence orderer"):
            run("--dataset", "bigbench_narratives", models=(orderer_folder, encoder_folder))
        assert capsys.readouterr().err == ""
        with pytest.raises(SystemExit, match="absent"):
            run("--dataset", "bigbench_narratives", models=("./absent",))


class TestOrder:
    @pytest.fixture
    def run(self, orderer_folder, tmp_path):
        def run(*options):
            output = tmp_path / "output"
            commands.main(["order", "--model", str(orderer_folder), "--output", str(output), *options])
            return output.read_text(encoding="utf-8")

        return run

    def test_json_lines_keep_their_keys_and_order(self, run, tmp_path, stories, orderer_folder):
        path = tmp_path / "input.jsonl"
        documents = [*stories[:5], [], ["alone"], ["ä \ud800", "x"]]
        path.write_text("".join(json.dumps({"id": i, "sentences": d}) + "\n" for i, d in enumerate(documents)))
        rows = [json.loads(line) for line in run("--input", str(path), "--batch_size", "3").splitlines()]
        assert [row.pop("id") for row in rows] == list(range(8))
        expected = pipeline("sentence-ordering", model=str(orderer_folder))(documents)
        assert [row["sentences"] for row in rows] == [answer["sentences"] for answer in expected]
        assert [row["positions"] for row in rows] == [answer["positions"] for answer in expected]

    def test_keys_of_the_answer_are_not_overwritten(self, run, tmp_path):
        path = tmp_path / "input.jsonl"
        path.write_text('["a", "b"]\n{"sentences": ["a", "b"], "positions": [1, 0]}\n')
        with pytest.raises(
            SystemExit, match=r"input.jsonl:2: has the keys \['positions'\], which the answer would over"
        ):
            run("--input", str(path))
        [answer] = run("--input", str(path), "--on_error", "skip", "--rejects", str(tmp_path / "rejects")).splitlines()
        assert json.loads(answer).keys() == {"sentences", *ADDED["order"]}

    def test_text_gives_text(self, run, tmp_path):
        path = tmp_path / "input.txt"
        path.write_text("He ate it.\nTom bought a cake.\n\nÄrger.\n", encoding="utf-8")
        first, second, end = run("--input", str(path)).split("\n\n")
        assert sorted(first.split("\n")) == ["He ate it.", "Tom bought a cake."]
        assert (second, end) == ("Ärger.", "")

    def test_malformed_line_stops_with_its_place(self, run, tmp_path):
        path = tmp_path / "input.jsonl"
        path.write_text('["a", "b"]\n["c"]\n{"sentences": ["a", 3]}\n["d"]\n')
        with pytest.raises(SystemExit) as exit_:
            run("--input", str(path))
        assert "input.jsonl:3: sentence 1 must be a string, but is of type int: 3" in exit_.value.code
        assert "Only the 2 documents before it were answered" in exit_.value.code
        assert len((tmp_path / "output").read_text().splitlines()) == 2

    @pytest.mark.parametrize("option", ["--output", "--rejects"])
    def test_input_is_not_overwritten(self, option, run, tmp_path):
        path = tmp_path / "input.jsonl"
        path.write_text('["a", "b"]\n')
        with pytest.raises(SystemExit, match="is the input, and would be overwritten"):
            run("--input", str(path), "--on_error", "skip", option, str(path))
        assert path.read_text() == '["a", "b"]\n'

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--batch_size", "0"], "batch_size=0 must be a whole number of at least 1"),
            (["--num_shuffles", "0"], "num_shuffles=0 must be a whole number of at least 1"),
            (["--on_error", "skip", "--rejects", "output"], "--output and --rejects name the same file"),
            (
                ["--on_error", "skip", "--rejects", "absent/rejects"],
                "There is no folder 'absent' to write absent/rejects to",
            ),
        ],
    )
    def test_output_survives_options_that_cannot_be(self, options, message, orderer_folder, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("input.jsonl").write_text('["a", "b"]\n')
        Path("output").write_text("what was ordered before")
        argv = ["order", "--model", str(orderer_folder), "--input", "input.jsonl", "--output", "output"]
        with pytest.raises(SystemExit, match=message):
            commands.main([*argv, *options])
        assert Path("output").read_text() == "what was ordered before"

    def test_rejects_of_before_may_be_the_input(self, run, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("rejects.jsonl").write_text('["a", "b"]\n')
        assert run("--input", "rejects.jsonl")
        assert Path("rejects.jsonl").read_text() == '["a", "b"]\n'

    def test_a_reader_that_wants_no_more_is_no_error(self, orderer_folder, tmp_path, python):
        path = tmp_path / "input.jsonl"
        path.write_text('["a", "b"]\n' * 5000)
        command = [python, REPOSITORY / "scripts" / "order.py", "--model", orderer_folder, "--input", path]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            process.stdout.close()
            assert "Traceback" not in process.stderr.read()
        assert process.returncode == 0

    def test_missing_input_is_named(self, run, tmp_path):
        with pytest.raises(SystemExit, match="There is no file '.*absent.jsonl' to read"):
            run("--input", str(tmp_path / "absent.jsonl"))

    def test_missing_model_is_named(self, tmp_path):
        path = tmp_path / "input.jsonl"
        path.write_text('["a", "b"]\n')
        with pytest.raises(SystemExit, match="nowhere"):
            commands.main(["order", "--model", str(tmp_path / "nowhere"), "--input", str(path)])

    def test_skipping_writes_rejects_and_goes_on(self, run, tmp_path, model, orderer_folder, capsys):
        model.config.max_tokens = 4
        model.save_pretrained(orderer_folder)
        path, rejects = tmp_path / "input.jsonl", tmp_path / "rejects.jsonl"
        path.write_text('["a", "b"]\n{oops\n["1", "2", "3", "4", "5"]\n["c"]\n')
        options = ["--on_error", "skip", "--rejects", str(rejects), "--overlong", "shorten"]
        output = run("--input", str(path), *options)
        assert [len(json.loads(line)["order"]) for line in output.splitlines()] == [2, 1]
        rejected = [json.loads(line) for line in rejects.open()]
        assert [(record["line"], record["text"]) for record in rejected] == [
            (2, "{oops"),
            (3, '["1", "2", "3", "4", "5"]'),
        ]
        assert "5 sentences do not fit into 4 tokens" in rejected[1]["reason"]
        assert "2 pieces of the input were no documents" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ('{"sentences": ["same", "same"]}\n', ["same", "same"]),
            ('\ufeff[ "same", "same"]\n', ["same", "same"]),
            ("[laughs]\n[laughs]\n", "[laughs]\n[laughs]\n\n"),
        ],
    )
    def test_standard_input_and_output(self, given, expected, orderer_folder, tmp_path, monkeypatch, capfd):
        (tmp_path / "given").write_text(given, encoding="utf-8")
        with (tmp_path / "given").open("rb") as file:
            monkeypatch.setattr(sys, "stdin", file)
            commands.main(["order", "--model", str(orderer_folder)])
        output, errors = capfd.readouterr()
        assert (json.loads(output)["sentences"] if isinstance(expected, list) else output) == expected
        assert "Ordering: 1 documents" in errors


def test_console_command_lists_its_programs(capsys):
    with pytest.raises(SystemExit) as exit_:
        commands.main(["--help"])
    assert exit_.value.code == 0
    listing = capsys.readouterr().out
    assert all(program in listing for program in ("train", "evaluate", "order"))


def test_unknown_program_is_refused(capsys):
    with pytest.raises(SystemExit) as exit_:
        commands.main(["sort"])
    assert exit_.value.code == 2
    assert "usage: sentence-ordering PROGRAM" in capsys.readouterr().out


@pytest.mark.parametrize("program", ["train", "evaluate", "order"])
def test_help_shows_the_command_to_run(program, capsys):
    with pytest.raises(SystemExit) as exit_:
        commands.main([program, "--help"])
    assert exit_.value.code == 0
    assert f"    sentence-ordering {program} " in capsys.readouterr().out


@pytest.mark.parametrize(("program", "option"), [("order", "input"), ("evaluate", "file")])
def test_scores_that_are_not_finite_are_told_in_one_line(program, option, orderer_folder, tmp_path):
    broken = AutoModelForSentenceOrdering.from_pretrained(orderer_folder)
    broken.ordering_head.projection.weight.data.fill_(float("nan"))
    broken.save_pretrained(tmp_path / "broken")
    AutoTokenizer.from_pretrained(orderer_folder).save_pretrained(tmp_path / "broken")
    (tmp_path / "documents.jsonl").write_text('{"sentences": ["a", "b"]}\n')
    options = ["--model", str(tmp_path / "broken"), f"--{option}", str(tmp_path / "documents.jsonl")]
    named = "" if program == "order" else f"{tmp_path / 'broken'}: "  # One of several models, perhaps.
    with pytest.raises(SystemExit, match=rf"^{named}2 of 2 scores are NaN or infinite.*(?<!\n)$"):
        commands.main([program, *options])
