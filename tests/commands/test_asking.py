import json
import subprocess

import pytest
from transformers import pipeline

from sentence_ordering import commands
from sentence_ordering.commands import insert, score

ROWS = [
    {"id": 7, "sentences": ["Tom bought a cake.", "Then he ate it."], "insert": ["He took it home."]},
    {"id": 8, "sentences": ["It rained."], "insert": ["We stayed in.", "We wanted to go out."]},
]


@pytest.fixture
def orderer(model, tokenizer, tmp_path):
    """A saved orderer that was fitted a confidence."""
    model.config.confidence_slope = 1.0
    model.save_pretrained(tmp_path / "orderer")
    tokenizer.save_pretrained(tmp_path / "orderer")
    return str(tmp_path / "orderer")


@pytest.fixture
def run(orderer, tmp_path):
    def run(program, rows, *options):
        path, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        commands.main([program, "--model", orderer, "--input", str(path), "--output", str(output), *options])
        return [json.loads(line) for line in output.open()]

    return run


@pytest.mark.parametrize(("program", "added"), [("score", score.ADDED), ("insert", insert.ADDED)])
def test_rows_get_the_answers_of_the_pipeline(program, added, run, orderer):
    ask = pipeline("sentence-ordering", model=orderer, answer=program, num_shuffles=2)
    answers = run(program, ROWS, "--num_shuffles", "2", "--batch_size", "1")
    assert answers == [row | answer for row, answer in zip(ROWS, ask(ROWS), strict=True)]
    assert {*answers[0]} == {"id", "sentences", "insert", *added}


@pytest.mark.parametrize(
    ("program", "row", "message"),
    [
        ("insert", {"sentences": ["a"]}, "document 2: has no sentences to insert"),
        ("score", {"sentences": ["a"], "coherence": 1}, "in.jsonl:3: has the keys .'coherence'., which the answer"),
        ("score", {"lines": ["a"]}, 'in.jsonl:3: the object has no "sentences"'),
    ],
)
def test_rows_that_cannot_be_answered_leave_what_was_there(program, row, message, run, tmp_path):
    (tmp_path / "out.jsonl").write_text("earlier")
    with pytest.raises(SystemExit, match=message):
        run(program, [*ROWS, row])
    assert (tmp_path / "out.jsonl").read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.glob("*.jsonl*")) == ["in.jsonl", "out.jsonl"]


def test_model_without_a_fitted_confidence_is_refused(orderer_folder, tmp_path):
    (tmp_path / "in.jsonl").write_text('["a", "b"]\n')
    with pytest.raises(SystemExit, match="no `confidence_slope`"):
        commands.main(["score", "--model", str(orderer_folder), "--input", str(tmp_path / "in.jsonl")])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--input", "absent.jsonl"], "There is no file 'absent.jsonl' to read"),
        (["--output", "absent/out.jsonl"], "There is no folder 'absent' to write absent/out.jsonl to"),
    ],
)
def test_files_are_checked_before_the_model_is_loaded(options, message):
    with pytest.raises(SystemExit, match=message):
        commands.main(["score", "--model", "absent", *options])


@pytest.mark.slow
def test_standard_input_is_answered_on_standard_output(orderer, python):
    code = "from sentence_ordering.commands import main; main()"
    command = [python, "-c", code, "score", "--model", orderer]
    result = subprocess.run(command, input='["a", "b"]\n', capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["sentences"] == ["a", "b"]
