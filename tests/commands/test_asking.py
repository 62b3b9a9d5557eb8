import csv
import gzip
import json
import subprocess
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import pipeline

from sentence_ordering import commands
from sentence_ordering.commands.answering import ADDED

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
def ask(orderer):
    def ask(program, *options):
        commands.main([program, "--model", orderer, *options])

    return ask


@pytest.fixture
def run(ask, tmp_path):
    def run(program, rows, *options):
        path, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        ask(program, "--input", str(path), "--output", str(output), *options)
        return [json.loads(line) for line in output.open()]

    return run


@pytest.fixture
def answers(orderer):
    def answers(program):
        return list(pipeline("sentence-ordering", model=orderer, answer=program)(ROWS))

    return answers


@pytest.mark.parametrize("program", ["score", "insert"])
def test_rows_get_the_answers_of_the_pipeline(program, run, orderer):
    ask = pipeline("sentence-ordering", model=orderer, answer=program, num_shuffles=2)
    answers = run(program, ROWS, "--num_shuffles", "2", "--batch_size", "1")
    assert answers == [row | answer for row, answer in zip(ROWS, ask(ROWS), strict=True)]
    assert {*answers[0]} == {"id", "sentences", "insert", *ADDED[program]}


@pytest.mark.parametrize(
    ("program", "row", "message"),
    [
        ("insert", {"sentences": ["a"]}, "in.jsonl:3: has no sentences to insert"),
        ("insert", {"sentences": ["a"], "insert": "b"}, 'in.jsonl:3: "insert": a document is a list'),
        ("score", {"sentences": ["a"], "coherence": 1}, "in.jsonl:3: has the keys .'coherence'., which the answer"),
        ("score", {"lines": ["a"]}, 'in.jsonl:3: the object has no "sentences"'),
    ],
)
def test_rows_that_cannot_be_answered_are_told_with_their_place_or_set_aside(program, row, message, run, tmp_path):
    with pytest.raises(SystemExit, match=message):
        run(program, [*ROWS, row])
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2
    rejects = tmp_path / "rejects.jsonl"
    answers = run(program, [row, *ROWS], "--on_error", "skip", "--rejects", str(rejects))
    assert [answer["id"] for answer in answers] == [7, 8]
    assert json.loads(json.loads(rejects.read_text())["text"]) == row


@pytest.mark.parametrize("program", ["score", "insert"])
@pytest.mark.parametrize("form", ["json", "csv", "parquet", "jsonl.gz"])
def test_every_form_is_answered_in_its_form(form, program, ask, answers, tmp_path):
    given, output = tmp_path / f"given.{form}", tmp_path / f"answered.{form}"
    if form == "json":
        given.write_text(json.dumps(ROWS))
    elif form == "csv":
        with given.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(ROWS[0])
            table.writerows([row["id"], json.dumps(row["sentences"]), json.dumps(row["insert"])] for row in ROWS)
    elif form == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), given)
    else:
        given.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode()))
    # Of the pipeline's batch size: rows that are padded differ in the last digits.
    ask(program, "--input", str(given), "--output", str(output), "--batch_size", "1")
    if form == "json":
        found = json.loads(output.read_text())
    elif form == "csv":
        with output.open(newline="") as file:
            found = [{key: json.loads(cell or "null") for key, cell in row.items()} for row in csv.DictReader(file)]
    elif form == "parquet":
        found = pq.read_table(output).to_pylist()
    else:
        found = [json.loads(line) for line in gzip.decompress(output.read_bytes()).splitlines()]
    assert found == [row | answer for row, answer in zip(ROWS, answers(program), strict=True)]


def test_numbered_columns_stay_when_they_are_judged_and_give_way_to_a_list_when_there_are_more(ask, tmp_path):
    given, output = tmp_path / "given.csv", tmp_path / "answered.csv"
    given.write_text('id,sentence1,sentence2,insert\n7,a,b,"[""c"", ""d""]"\n')
    for program, columns in {
        "score": ["id", "sentence1", "sentence2", "insert", *ADDED["score"]],
        "insert": ["id", "insert", "sentences", *ADDED["insert"]],
    }.items():
        ask(program, "--input", str(given), "--output", str(output))
        with output.open(newline="") as file:
            [row] = csv.DictReader(file)
        assert list(row) == columns
        assert row["insert"] == '["c", "d"]'
    assert sorted(json.loads(row["sentences"])) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "columns",
    [
        {"sentence1": ["a"], "sentence2": ["b"]},
        {"sentences": pa.array([["a", "b"]], pa.list_(pa.string(), 2))},
    ],
)
def test_parquet_has_room_for_the_sentences_that_are_inserted(columns, ask, tmp_path):
    given, output = tmp_path / "given.parquet", tmp_path / "answered.parquet"
    table = pa.table({"id": pa.array([7], pa.int8()), **columns, "insert": [["c", "d"]]})
    pq.write_table(table, given)
    ask("insert", "--input", str(given), "--output", str(output))
    answered = pq.read_table(output)
    assert sorted(answered["sentences"].to_pylist()[0]) == ["a", "b", "c", "d"]
    assert set(answered.column_names) == {"id", "sentences", "insert", *ADDED["insert"]}
    assert answered.schema.field("id").type == pa.int8()
    header = answered.column_names
    pq.write_table(table.slice(0, 0), given)
    ask("insert", "--input", str(given), "--output", str(output))
    assert pq.read_table(output).column_names == header


def test_inserted_sentences_that_text_would_change_are_refused(run, ask, tmp_path):
    for new in ("x\ny", " ", "\ufeffx", "\ud800"):
        (tmp_path / "in.jsonl").write_text(json.dumps({"sentences": ["a"], "insert": [new]}))
        with pytest.raises(SystemExit, match="in.jsonl:1: (sentence 1 is blank,|.* is no text that UTF-8 can hold)"):
            ask("insert", "--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out.txt"))


def test_text_is_judged_in_json_lines(ask, tmp_path):
    given, output = tmp_path / "given.txt", tmp_path / "answered"
    given.write_text("Tom was hungry.\nHe ate.\n\nIt rained.\n")
    ask("score", "--input", str(given), "--output", str(output))
    rows = [json.loads(line) for line in output.open()]
    assert [row["sentences"] for row in rows] == [["Tom was hungry.", "He ate."], ["It rained."]]
    with pytest.raises(SystemExit, match="answered.txt: text has no room for what `score` tells"):
        ask("score", "--input", str(given), "--output", f"{output}.txt")
    with pytest.raises(SystemExit, match="given.txt:1: has no sentences to insert"):
        ask("insert", "--input", str(given), "--output", str(output))


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
def test_a_program_that_waits_for_each_answer_gets_it(orderer, python):
    code = "from sentence_ordering.commands import main; main()"
    command = [python, "-c", code, "score", "--model", orderer, "--batch_size", "1"]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **streams, text=True, bufsize=1) as process:
        watch = threading.Timer(120, process.kill)  # Not to wait forever if an answer does not come.
        watch.start()
        for sentences in (["a", "b"], ["c"]):
            process.stdin.write(json.dumps(sentences) + "\n")
            assert json.loads(process.stdout.readline())["sentences"] == sentences
        process.stdin.close()
        assert process.wait() == 0
        watch.cancel()
