import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from sentence_ordering import commands
from sentence_ordering.evaluation import page

PROGRAM = ["-c", "from sentence_ordering.commands import main; main()", "evaluate"]
FILES = {"metrics.json", "predictions.jsonl", "report.html", "report.md"}


@pytest.fixture
def options(orderer_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("corpus.jsonl").write_text('{"sentences": ["one → two", "b", "c"]}\n' * 3, encoding="utf-8")
    return ["--model", str(orderer_folder), "--file", "corpus.jsonl", "--output_dir", "out"]


@pytest.fixture
def fitted(orderer_folder, options, tmp_path):
    """Let the options name an orderer that was fitted a confidence."""
    folder = tmp_path / "fitted"
    shutil.copytree(orderer_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"confidence_slope": 1.0}))
    options[1] = str(folder)


def test_results_are_written_before_a_reader_that_left_is_told(options, python):
    read, write = os.pipe()
    os.close(read)
    run = subprocess.run([python, *PROGRAM, *options], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (run.returncode, "Traceback" in run.stderr) == (0, False)
    assert {path.name for path in Path("out").iterdir()} == FILES


def test_what_standard_output_cannot_encode_costs_nothing(options, python):
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    run = subprocess.run([python, *PROGRAM, *options, "--show", "1"], capture_output=True, text=True, env=environment)
    assert run.returncode == 0
    assert "one \\u2192 two" in run.stdout
    assert {path.name for path in Path("out").iterdir()} == FILES


def test_nothing_is_printed_before_all_is_written(options, monkeypatch, capsys):
    def fail(results, settings):
        raise RuntimeError("no plot today")

    monkeypatch.setattr(page, "format_page", fail)
    with pytest.raises(RuntimeError, match="no plot today"):
        commands.main(["evaluate", *options, "--show", "1"])
    assert capsys.readouterr().out == ""
    assert {path.name for path in Path("out").iterdir()} == FILES - {"report.html"}


def test_a_run_that_fails_leaves_the_results_of_before(options, monkeypatch):
    commands.main(["evaluate", *options])
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    monkeypatch.setattr("sentence_ordering.data.parsing.encode", lambda text: Path("out").write_bytes(b""))
    with pytest.raises(SystemExit, match="^Cannot write to out: Is a directory.$"):
        commands.main(["evaluate", *options, "--seed", "5"])
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before


def test_progress_moves_with_the_batches(options, monkeypatch):
    from sentence_ordering.model import pipeline_sentence_ordering as module

    steps = []
    score = module.SentenceOrderingPipeline._score

    def spy(self, tasks, max_rows, max_tokens, progress):
        return score(self, tasks, max_rows, max_tokens, lambda count: (steps.append(count), progress(count)))

    monkeypatch.setattr(module.SentenceOrderingPipeline, "_score", spy)
    commands.main(["evaluate", *options, "--batch_size", "2", "--input_orders", "1"])
    assert steps == [2, 1]


@pytest.mark.parametrize("task", ["insert", "coherence"])
def test_other_tasks_leave_their_figures(task, options, fitted, capsys):
    commands.main(["evaluate", *options, "--task", task])
    assert {path.name for path in Path("out").iterdir()} == FILES - {"report.html"}
    assert Path("out/report.md").read_text() == capsys.readouterr().out
    report = json.loads(Path("out/metrics.json").read_text())
    assert (report["task"], report["results"][0]["documents"]) == (task, 3)
    predictions = [json.loads(line) for line in Path("out/predictions.jsonl").open()]
    assert [(row["corpus"], row["row"], len(row["scores"])) for row in predictions] == [
        *(("corpus.jsonl", 0, 3), ("corpus.jsonl", 1, 3), ("corpus.jsonl", 2, 3)),
    ]


def test_tasks_need_a_model_that_gives_probabilities(options):
    with pytest.raises(SystemExit, match="has no `confidence_slope`, so that it gives no probabilities"):
        commands.main(["evaluate", *options, "--task", "insert"])


@pytest.mark.parametrize("task", ["order", "insert", "coherence"])
def test_a_corpus_in_which_nothing_can_be_measured_is_refused(task, options, fitted):
    Path("corpus.jsonl").write_text('{"sentences": ["Alone."]}\n{"sentences": []}\n')
    with pytest.raises(SystemExit, match="corpus.jsonl: no document has two sentences or more: there is nothing"):
        commands.main(["evaluate", *options, "--task", task])
    assert not Path("out").exists()


def test_what_has_no_baselines_asks_for_nothing_to_train_them_on(options, fitted, tmp_path):
    rows = Dataset.from_dict({"sentences": [["a", "b", "c"]] * 3})
    DatasetDict(train=rows, validation=rows).save_to_disk(tmp_path / "saved")
    options[2:4] = ["--dataset", "saved"]
    commands.main(["evaluate", *options, "--task", "insert"])
    assert json.loads(Path("out/metrics.json").read_text())["results"][0]["documents"] == 3


@pytest.mark.parametrize("option", ["--model", "--file"])
def test_what_is_named_twice_is_not_measured_twice(option, options):
    options.insert(options.index(option) + 1, "corpus.jsonl")
    options.insert(options.index(option) + 1, "corpus.jsonl")
    with pytest.raises(SystemExit, match=f"`{option}` names corpus.jsonl twice"):
        commands.main(["evaluate", *options])


@pytest.mark.parametrize("option", ["--show", "--input_orders"])
def test_options_of_ordering_are_refused_for_other_tasks(option, options):
    with pytest.raises(SystemExit, match="`--input_orders` are for `--task order`, not for 'insert'"):
        commands.main(["evaluate", *options, "--task", "insert", option, "1"])


def test_an_empty_folder_name_is_not_the_current_folder(options):
    with pytest.raises(SystemExit, match="^--output_dir is empty"):
        commands.main(["evaluate", *options, "--output_dir", ""])


@pytest.fixture
def broken(options, fitted, tmp_path):
    """A folder whose weights are a pointer of Git's, as a clone without its large files has them."""
    folder = tmp_path / "broken"
    shutil.copytree(options[1], folder)
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    return str(folder)


@pytest.mark.parametrize("task", ["order", "insert"])
def test_a_broken_model_costs_the_figures_of_no_other(task, options, broken, capsys):
    options[1:2] = [options[1], broken]
    with pytest.raises(SystemExit, match=f"^The weights of '{broken}' cannot be read .* `git lfs pull`"):
        commands.main(["evaluate", *options, "--task", task])
    assert Path("out/report.md").read_text() == capsys.readouterr().out
    assert {json.loads(line)["model"] for line in Path("out/predictions.jsonl").open()} == {options[1]}


def test_weights_of_other_shapes_cost_the_figures_of_no_other(options, fitted, tmp_path):
    other = shutil.copytree(options[1], tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    config["backbone_config"]["intermediate_size"] *= 2
    (other / "config.json").write_text(json.dumps(config))
    options[1:2] = [options[1], str(other)]
    with pytest.raises(SystemExit, match=f"^{other}: .*mismatch"):
        commands.main(["evaluate", *options])
    assert {json.loads(line)["model"] for line in Path("out/predictions.jsonl").open()} == {options[1]}


def test_baselines_take_any_seed(options):
    Path("train.jsonl").write_text('{"sentences": ["a", "b"]}\n' * 3)
    commands.main(["evaluate", *options, "--train_file", "train.jsonl", "--seed", str(2**40)])
    systems = {result["system"] for result in json.loads(Path("out/metrics.json").read_text())["results"]}
    assert "bag of words" in systems


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--train_split", "train2"], "`--train_split` is for the baselines"),
        (["--split", "test"], "`--split` is for `--dataset`"),
        (["--show", "-1"], "`--show` must be at least 0, but is -1"),
        (
            ["--dataset", "bigbench_narratives", "--task", "insert", "--train_split", "train2"],
            "`--train_split` is for the baselines of `--task order`",
        ),
    ],
)
def test_options_without_effect_are_refused(given, message, options):
    with pytest.raises(SystemExit, match=message):
        commands.main(["evaluate", *options, *given])


def test_number_of_shuffles_is_told_with_the_figures(options, capsys):
    commands.main(["evaluate", *options, "--num_shuffles", "3"])
    assert json.loads(Path("out/metrics.json").read_text())["num_shuffles"] == 3
    assert "3 documents, each in 5 input orders; models average 3 shuffles of each." in capsys.readouterr().out
    assert "models average 3 shuffles of each" in Path("out/report.html").read_text()


@pytest.mark.parametrize("task", ["order", "insert"])
def test_nothing_is_written_if_no_model_can_be_measured(task, options, broken, capsys):
    commands.main(["evaluate", *options, "--task", task])
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    capsys.readouterr()
    options[1] = broken
    with pytest.raises(SystemExit, match="cannot be read"):
        commands.main(["evaluate", *options, "--task", task])
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before
    assert capsys.readouterr().out == ""


def test_what_was_measured_before_scores_that_are_not_finite_is_kept(options, monkeypatch, capsys):
    from sentence_ordering.model.pipeline_sentence_ordering import SentenceOrderingPipeline

    Path("other.jsonl").write_text('{"sentences": ["d", "e"]}\n' * 2)
    forward = SentenceOrderingPipeline.forward
    factors = iter([1.0, 1.0, 1.0, 1.0, float("nan")])  # The last document of the second corpus fails.

    def break_down(self, inputs, **kwargs):
        return {"logits": forward(self, inputs, **kwargs)["logits"] * next(factors)}

    monkeypatch.setattr(SentenceOrderingPipeline, "forward", break_down)
    options = [*options, "--input_orders", "1", "--show", "1", "--batch_size", "1"]
    options[3:4] = ["corpus.jsonl", "other.jsonl"]
    with pytest.raises(SystemExit, match="scores are NaN or infinite"):
        commands.main(["evaluate", *options])
    assert {json.loads(line)["corpus"] for line in Path("out/predictions.jsonl").open()} == {"corpus.jsonl"}
    assert "one → two" in (shown := capsys.readouterr().out) and "  d\n" not in shown
