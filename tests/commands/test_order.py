import csv
import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import pipeline

from sentence_ordering import commands
from sentence_ordering.commands import answering
from sentence_ordering.model.pipeline_sentence_ordering import LOOK_AHEAD, SentenceOrderingPipeline

ADDED = answering.ADDED["order"]
DOCUMENTS = [["Then he ate it.", "So he bought a cake.", "Tom was hungry."], ["It rained.", 'They "stayed", in.']]
PROGRAM = ["-c", "from sentence_ordering.commands import main; main()", "order"]


@pytest.fixture
def answers(orderer_folder):
    return pipeline("sentence-ordering", model=str(orderer_folder))(DOCUMENTS)


@pytest.fixture
def run(orderer_folder, tmp_path, monkeypatch):
    """Run the program in a folder."""
    monkeypatch.chdir(tmp_path)

    def run(*options):
        commands.main(["order", "--model", str(orderer_folder), *options])

    return run


@pytest.fixture
def start(python, orderer_folder, tmp_path):
    """Run the program in a process of its own."""

    def start(*options, **arguments):
        command = [python, *PROGRAM, "--model", str(orderer_folder), *options]
        return subprocess.run(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, **arguments)

    return start


def write_csv(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_keeps_its_columns_numbered_ones_too(run, answers, tmp_path):
    rows = [["7", *DOCUMENTS[0], "", "Cake,\nand more"], ["8", *DOCUMENTS[1], "", "", "ä"]]
    header = ["id", "sentence1", "sentence2", "sentence3", "sentence4", "title"]
    write_csv(tmp_path / "stories.csv", header, rows)
    run("--input", "stories.csv", "--output", "ordered.csv")
    ordered = read_csv(tmp_path / "ordered.csv")
    assert list(ordered[0]) == [*header, *ADDED]
    for row, given, answer in zip(ordered, rows, answers, strict=True):
        assert (row["id"], row["title"]) == (given[0], given[-1])
        found = [row[f"sentence{number}"] for number in range(1, 5)]
        assert found == answer["sentences"] + [""] * (4 - len(answer["sentences"]))
        assert json.loads(row["order"]) == answer["order"]
        assert json.loads(row["positions"]) == answer["positions"]


FORMS = ["jsonl", "json", "csv", "tsv", "parquet", "text"]


def write_documents(path, form):
    if form == "parquet":
        pq.write_table(pa.table({"sentences": DOCUMENTS}), path)
    elif form in ("csv", "tsv"):
        with path.open("w", newline="") as file:
            writer = csv.writer(file, delimiter="," if form == "csv" else "\t")
            writer.writerows([["id", "sentences"], *([7, json.dumps(document)] for document in DOCUMENTS)])
    elif form == "text":
        path.write_text("\n\n".join("\n".join(document) for document in DOCUMENTS))
    elif form == "json":
        path.write_text(json.dumps([{"sentences": document} for document in DOCUMENTS], indent=1))
    else:
        path.write_text("".join(json.dumps({"sentences": document}) + "\n" for document in DOCUMENTS))


def read_answers(content, form):
    """Read the sentences, and what was added where the form has it."""
    if form == "text":
        return [(document.split("\n"), None) for document in content.decode().removesuffix("\n\n").split("\n\n")]
    if form == "parquet":
        rows = pq.read_table(pa.BufferReader(content)).to_pylist()
    elif form == "json":
        rows = json.loads(content)
    elif form == "jsonl":
        rows = [json.loads(line) for line in content.splitlines()]
    else:
        reader = csv.DictReader(io.StringIO(content.decode(), newline=""), delimiter="," if form == "csv" else "\t")
        rows = [{name: json.loads(cell or "null") for name, cell in row.items()} for row in reader]
    assert all(row.keys() - {"id"} == {"sentences", *ADDED} for row in rows)
    return [(row["sentences"], row["positions"]) for row in rows]


@pytest.mark.parametrize("into", FORMS)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_and_written(form, into, run, answers, tmp_path):
    suffix = {"text": "txt"}
    given, output = tmp_path / f"in.{suffix.get(form, form)}", tmp_path / f"out.{suffix.get(into, into)}"
    write_documents(given, form)
    run("--input", given.name, "--output", output.name)
    expected = [(answer["sentences"], None if into == "text" else answer["positions"]) for answer in answers]
    assert read_answers(output.read_bytes(), into) == expected


@pytest.mark.parametrize("form", FORMS)
def test_a_pipe_without_a_name_is_answered_in_its_form(form, run, answers, tmp_path):
    write_documents(tmp_path / "given", form)
    os.mkfifo(tmp_path / "pipe")
    feed = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes((tmp_path / "given").read_bytes()))
    feed.start()
    run("--input", "pipe", "--output", "out")
    feed.join()
    found = [sentences for sentences, _ in read_answers((tmp_path / "out").read_bytes(), form)]
    assert found == [answer["sentences"] for answer in answers]


def test_packed_files_are_read_and_written(run, answers, tmp_path):
    (tmp_path / "in.jsonl.gz").write_bytes(gzip.compress(json.dumps(DOCUMENTS[0]).encode()))
    run("--input", "in.jsonl.gz", "--output", "out.json.gz")
    [row] = json.loads(gzip.decompress((tmp_path / "out.json.gz").read_bytes()))
    assert row["sentences"] == answers[0]["sentences"]


def test_parquet_columns_keep_their_types(run, answers, tmp_path):
    columns = {
        "day": pa.array([date(2020, 1, 1), None], pa.date32()),
        "small": pa.array([1, 2], pa.int8()),
        "meta": pa.array([{"k": 1}, None]),
        "sentences": pa.array(DOCUMENTS),
        "always": pa.array([None, None], pa.float32()),
    }
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    run("--input", "in.parquet", "--output", "out.parquet")
    given, ordered = pq.read_table(tmp_path / "in.parquet"), pq.read_table(tmp_path / "out.parquet")
    for name in ("day", "small", "meta", "always"):
        assert ordered[name].equals(given[name])
    assert ordered["sentences"].type == given["sentences"].type
    assert ordered["sentences"].to_pylist() == [answer["sentences"] for answer in answers]


def test_numbers_that_are_not_finite_become_valid_json(run, tmp_path):
    columns = {
        "sentences": DOCUMENTS,
        "n": [float("nan"), float("inf")],
        "meta": [{"k": [0.5, float("nan")]}, {"k": [float("-inf")]}],
    }
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    run("--input", "in.parquet", "--output", "out.jsonl")
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    rows = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert [row["n"] for row in rows] == [None, "inf"]
    assert [row["meta"] for row in rows] == [{"k": [0.5, None]}, {"k": ["-inf"]}]

    run("--input", "in.parquet", "--output", "out.csv")
    assert [row["n"] for row in read_csv(tmp_path / "out.csv")] == ["nan", "inf"]


def test_rows_that_fit_under_no_column_are_refused_or_set_aside(run, tmp_path):
    rows = [{"sentences": ["a"], "n": 1}, {"sentences": ["b"], "n": 2, "x": 3}, {"sentences": ["c"]}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(SystemExit, match=r"in.jsonl:2: has \['x'\], which are no columns .* Write JSONL"):
        run("--input", "in.jsonl", "--output", "out.csv")
    for output in ("out.csv", "out.parquet"):
        run("--input", "in.jsonl", "--output", output, "--on_error", "skip")
        assert len((tmp_path / "rejects.jsonl").read_text().splitlines()) == 1
    assert [(row["sentences"], row["n"]) for row in read_csv(tmp_path / "out.csv")] == [('["a"]', "1"), ('["c"]', "")]
    assert pq.read_table(tmp_path / "out.parquet")["n"].to_pylist() == [1, None]


def test_values_that_parquet_would_change_are_refused(run, tmp_path):
    rows = [{"sentences": ["a"], "n": 1}, {"sentences": ["b"], "n": 0.5}, {"sentences": ["c"], "n": 2}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run("--input", "in.jsonl", "--output", "out.parquet", "--on_error", "skip")
    assert pq.read_table(tmp_path / "out.parquet")["n"].to_pylist() == [1, 2]
    [rejected] = map(json.loads, (tmp_path / "rejects.jsonl").read_text().splitlines())
    assert "in.jsonl:2: does not fit into the Parquet file (n is 0.5, and would become 0" in rejected["reason"]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_first_row_that_is_set_aside_does_not_tell_the_columns(form, run, tmp_path):
    rows = [{"sentences": ["a"], "half": "\ud800"}, {"sentences": ["b"], "id": 2}, {"sentences": ["c"], "id": 3}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run("--input", "in.jsonl", "--output", f"out.{form}", "--on_error", "skip")
    ordered = read_csv(tmp_path / "out.csv") if form == "csv" else pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [int(row["id"]) for row in ordered] == [2, 3]
    assert list(ordered[0]) == ["sentences", "id", *ADDED]
    assert len((tmp_path / "rejects.jsonl").read_text().splitlines()) == 1


def test_dates_and_decimals_stand_in_cells_as_they_are(run, tmp_path):
    columns = {"sentences": DOCUMENTS[:1], "day": [date(2020, 1, 2)], "price": [Decimal("1.10")], "n": [7]}
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    run("--input", "in.parquet", "--output", "out.csv")
    [row] = read_csv(tmp_path / "out.csv")
    assert (row["day"], row["price"], row["n"]) == ("2020-01-02", "1.10", "7")


def test_rejects_that_cannot_be_written_are_told_by_their_name(run, tmp_path):
    (tmp_path / "in.jsonl").write_text(json.dumps({"x": "x" * 100_000}) + "\n")
    with pytest.raises(SystemExit, match="^Cannot write /dev/full: No space left on device.$"):
        run("--input", "in.jsonl", "--output", "out.jsonl", "--on_error", "skip", "--rejects", "/dev/full")


def test_a_file_that_ends_too_early_is_not_said_to_be_skippable(run, tmp_path):
    (tmp_path / "in.jsonl.gz").write_bytes(gzip.compress(json.dumps(DOCUMENTS[0]).encode() + b"\n" * 9999)[:-9])
    with pytest.raises(SystemExit, match="is no complete gzip file") as exit_:
        run("--input", "in.jsonl.gz", "--output", "out.jsonl")
    assert "--on_error" not in exit_.value.code


def test_what_to_do_about_a_first_document_is_told(run, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"x": 1}\n')
    with pytest.raises(SystemExit, match="has no .sentences., .* `--on_error skip` sets it aside.$"):
        run("--input", "in.jsonl", "--output", "out.jsonl")


def test_a_first_document_without_sentences_does_not_type_the_column(run, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"sentences": []}\n{"sentences": ["a"]}\n')
    run("--input", "in.jsonl", "--output", "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet")["sentences"].to_pylist() == [[], ["a"]]


def test_a_text_for_a_file_name_is_no_file(run):
    with pytest.raises(SystemExit, match="There is no file 'Tom was hungry. Tom"):
        run("--input", "Tom was hungry. " * 40)


@pytest.mark.parametrize("name", ["out.jsonl.zst", "out.BZ2", "out.xlsx"])
def test_a_name_that_promises_another_kind_of_file_is_refused(name, run, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"sentences": ["a"]}\n')
    with pytest.raises(SystemExit, match=f"^--output {name}: expected a file that ends in .jsonl"):
        run("--input", "in.jsonl", "--output", name)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("output", ["out.jsonl", "out.csv"])
def test_bytes_are_written_in_base64(output, run, tmp_path):
    columns = {"sentences": [["a", "b"]], "image": [b"\x89PNG\xff"], "nested": [{"raw": b"\0"}]}
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    run("--input", "in.parquet", "--output", output)
    written = (tmp_path / output).read_text()
    if output == "out.csv":
        [row] = csv.DictReader(io.StringIO(written, newline=""))
        assert (row["image"], row["nested"]) == ("iVBOR/8=", '{"raw": "AA=="}')
    else:
        row = json.loads(written)
        assert (row["image"], row["nested"]) == ("iVBOR/8=", {"raw": "AA=="})


def test_a_name_that_no_file_can_have_is_not_written_to(run, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"sentences": ["a"]}\n')
    with pytest.raises(SystemExit, match="Cannot write aaa.*: File name too long"):
        run("--input", "in.jsonl", "--output", "a" * 400)


def test_sentences_that_text_would_change_are_refused(run, tmp_path):
    for sentences in (["a", " "], ["a", "b\nc"], ["a\r", "b"]):
        (tmp_path / "in.jsonl").write_text(json.dumps(sentences))
        with pytest.raises(SystemExit, match="in.jsonl:1: sentence . is blank, has several lines"):
            run("--input", "in.jsonl", "--output", "out.txt")


@pytest.mark.parametrize("output", ["out.txt", "out.csv", "out.tsv"])
@pytest.mark.parametrize("row", [{"sentence1": "a\ud800", "sentence2": "b"}, {"sentences": ["a"], "id": "\udc00"}])
def test_half_a_character_is_not_written_as_another_one(row, output, run, tmp_path):
    (tmp_path / "in.jsonl").write_text(json.dumps(row))
    if output == "out.txt" and "id" in row:  # Which text leaves out.
        run("--input", "in.jsonl", "--output", output)
        return
    with pytest.raises(SystemExit, match="in.jsonl:1: .* is no text that UTF-8 can hold .*. Write JSONL"):
        run("--input", "in.jsonl", "--output", output)
    run("--input", "in.jsonl", "--output", "out.jsonl")
    assert row.items() <= json.loads((tmp_path / "out.jsonl").read_text()).items() or "sentence1" in row


def test_a_document_without_sentences_is_not_written_as_text(run, tmp_path):
    (tmp_path / "in.jsonl").write_text("[]\n")
    with pytest.raises(SystemExit, match="in.jsonl:1: has no sentences, which text has no way to say"):
        run("--input", "in.jsonl", "--output", "out.txt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--input", "table.xlsx"], "table.xlsx: expected a file that ends in .jsonl, .* said with `--format`"),
        (["--input", ""], "^--input is empty"),
        (["--output", ""], "^--output is empty"),
        (["--output", "a\0b"], r"^--output 'a\\x00b' is no name of a file"),
        (["--model", "user/absent"], "^user/absent: "),
        (["--model", "headless"], "^The orderer headless lacks the weights ordering_head.projection.weight.$"),
        (["--model", "garbled"], "^No tokenizer could be loaded from 'garbled'"),
        (["--input", "taken.csv"], r"^taken.csv: has the keys \['order'\], which the answer would overwrite"),
        (["--input", "."], "^--input . is a folder"),
        (["--output", "."], "^--output . is a folder"),
        (["--output", "/dev/full"], "^Cannot write /dev/full: No space left on device.$"),
        (["--on_error", "skip", "--rejects", "."], "^--rejects . is a folder"),
        (["--input", "bad.csv"], "^bad.csv:1: columns 1 and 2 are both named 'sentence1'"),
        (["--input", "damaged.parquet"], "^damaged.parquet: is no Parquet file"),
        (["--input", "keys.jsonl"], r"keys.jsonl:1: the object has no \"sentences\", only the keys \['text'\]"),
    ],
)
def test_what_cannot_be_is_told_in_one_line_and_changes_nothing(options, message, run, tmp_path):
    (tmp_path / "in.jsonl").write_text('["a", "b"]\n')
    (tmp_path / "table.xlsx").write_text("a")
    (tmp_path / "bad.csv").write_text("sentence1,sentence1\na,b\n")
    (tmp_path / "damaged.parquet").write_text("PAR1")
    (tmp_path / "keys.jsonl").write_text('{"text": "a"}')
    (tmp_path / "taken.csv").write_text("sentences,order\n")
    for name in ("headless", "garbled"):
        shutil.copytree(tmp_path / "orderer", tmp_path / name)
    weights = load_file(tmp_path / "headless" / "model.safetensors")
    del weights["ordering_head.projection.weight"]
    save_file(weights, tmp_path / "headless" / "model.safetensors", {"format": "pt"})
    (tmp_path / "garbled" / "tokenizer.json").write_text('{"a": 1}')
    (tmp_path / "out").write_text("what was ordered before")
    names = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(SystemExit, match=message) as exit_:
        run("--input", "in.jsonl", "--output", "out", *options)
    assert "\n" not in exit_.value.code
    assert (tmp_path / "out").read_text() == "what was ordered before"
    assert {path.name for path in tmp_path.iterdir()} == names


def test_a_file_of_another_name_is_read_if_its_form_is_said(run, tmp_path):
    (tmp_path / "table.dat").write_text("sentence1,sentence2\na,b\n")
    run("--input", "table.dat", "--format", "csv", "--output", "out")
    assert set(read_csv(tmp_path / "out")[0]) == {"sentence1", "sentence2", *ADDED}


def test_hyphens_are_understood_but_not_shown(run, tmp_path, capsys):
    (tmp_path / "in.jsonl").write_text('["a"]\n{\n')
    run("--input", "in.jsonl", "--output", "out", "--on-error", "skip", "--batch-size", "2")
    assert len((tmp_path / "rejects.jsonl").read_text().splitlines()) == 1
    with pytest.raises(SystemExit):
        run("--help")
    shown = capsys.readouterr().out
    assert "--on_error" in shown and "--on-error" not in shown and "--batch-size" not in shown


@pytest.mark.parametrize(
    ("redirection", "message"),
    [
        ("<&-", "Cannot read standard input: is closed."),
        (">&- <in.txt", "Cannot write standard output: is closed."),
    ],
)
def test_closed_streams_are_told_in_one_line(redirection, message, orderer_folder, tmp_path):
    (tmp_path / "in.txt").write_text("a\nb\n")
    run = subprocess.run(
        ["sh", "-c", f'"$@" {redirection}', "sh", sys.executable, *PROGRAM, "--model", orderer_folder],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert run.stderr.splitlines()[-1] == message


def test_full_standard_output_is_told_in_one_line(start, tmp_path):
    (tmp_path / "in.txt").write_text("a\nb\n")
    with open("/dev/full", "wb") as full:
        run = start("--input", "in.txt", stdout=full)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert run.stderr.splitlines()[-1] == "Cannot write standard output: No space left on device."


def test_a_reader_that_left_before_the_first_answer_is_no_error(start, tmp_path):
    (tmp_path / "in.txt").write_text("a\nb\n")
    read, write = os.pipe()
    os.close(read)
    run = start("--input", "in.txt", stdout=write)
    os.close(write)
    assert run.returncode == 0
    assert "Traceback" not in run.stderr and "BrokenPipe" not in run.stderr


def test_a_program_that_waits_for_each_answer_gets_it(orderer_folder, python):
    command = [python, *PROGRAM, "--model", str(orderer_folder), "--batch_size", "1", "--format", "jsonl"]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **streams, text=True, bufsize=1) as process:
        watch = threading.Timer(120, process.kill)  # Not to wait forever if an answer does not come.
        watch.start()
        for document in DOCUMENTS:
            process.stdin.write(json.dumps(document) + "\n")
            assert sorted(json.loads(process.stdout.readline())["sentences"]) == sorted(document)
        process.stdin.close()
        assert process.stdout.read() == ""
        watch.cancel()


def test_a_killed_run_leaves_no_half_written_file(orderer_folder, tmp_path, python):
    (tmp_path / "out.jsonl").write_text("what was ordered before")
    os.mkfifo(tmp_path / "pipe")
    command = [python, *PROGRAM, "--model", str(orderer_folder), "--input", "pipe", "--output", "out.jsonl"]
    with subprocess.Popen([*command, "--batch_size", "1"], cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        with (tmp_path / "pipe").open("w") as pipe:
            pipe.write('["a", "b"]\n' * 100)
            pipe.flush()
            until = time.monotonic() + 120
            while not any(path.stat().st_size for path in tmp_path.glob(".out.jsonl.*.tmp")):
                assert time.monotonic() < until and process.poll() is None
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert (tmp_path / "out.jsonl").read_text() == "what was ordered before"


def test_constraints_of_an_object_are_kept(run, tmp_path):
    row = {"sentences": DOCUMENTS[0], "constraints": {"first": 1, "last": 2}}
    (tmp_path / "in.jsonl").write_text(json.dumps(row) + "\n")
    run("--input", "in.jsonl", "--output", "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text())["order"] == [1, 0, 2]


def test_contradicting_constraints_are_told_with_their_place(run, tmp_path):
    rows = [{"sentences": DOCUMENTS[0]}, {"sentences": DOCUMENTS[0], "constraints": {"before": [[0, 1], [1, 0]]}}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(SystemExit, match="in.jsonl:2: "):
        run("--input", "in.jsonl", "--output", "out.jsonl")


def test_columns_of_that_name_in_tables_stay_columns(run, tmp_path):
    write_csv(tmp_path / "in.csv", ["sentence1", "sentence2", "constraints"], [["a", "b", "none"]])
    run("--input", "in.csv", "--output", "out.csv")
    assert read_csv(tmp_path / "out.csv")[0]["constraints"] == "none"


@pytest.mark.parametrize("constraints", ["first", [0], 3, {"frist": 0}])
@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_constraints_of_a_wrong_form_are_not_passed_over(constraints, form, run, tmp_path):
    row = {"sentences": DOCUMENTS[0], "constraints": constraints}
    (tmp_path / f"in.{form}").write_text(json.dumps([row] if form == "json" else row))
    with pytest.raises(SystemExit, match="in.json(l:1|, element 0): "):
        run("--input", f"in.{form}", "--output", "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("before", ["", " "])
def test_constraints_stand_in_tables_as_json(before, run, tmp_path):
    constraints = {"first": 1, "last": 2}
    cells = [json.dumps(DOCUMENTS[0]), before + json.dumps(constraints)]
    write_csv(tmp_path / "in.csv", ["sentences", "constraints"], [cells])
    run("--input", "in.csv", "--output", "out.csv")
    [row] = read_csv(tmp_path / "out.csv")
    assert (row["order"], json.loads(row["constraints"])) == ("[1, 0, 2]", constraints)
    write_csv(tmp_path / "in.csv", ["sentences", "constraints"], [['["a"]', '{"first": ']])
    with pytest.raises(SystemExit, match="in.csv:2, column 'constraints': is not JSON"):
        run("--input", "in.csv", "--output", "out.csv")


@pytest.mark.parametrize("name", ["in.csv", "in.csv.gz"])
def test_a_table_without_rows_keeps_its_columns(name, run, tmp_path):
    content = b'\xef\xbb\xbf\r\n"id, of a story",sentence1,sentence2\r\n'
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    header = ["id, of a story", "sentence1", "sentence2", *ADDED]
    run("--input", name, "--output", "out.csv")
    assert next(csv.reader((tmp_path / "out.csv").open(newline=""))) == header
    run("--input", name, "--output", "out.parquet")
    assert pq.read_schema(tmp_path / "out.parquet").names == header


def test_what_was_ordered_before_scores_that_are_not_finite_is_kept(orderer_folder, run, monkeypatch, tmp_path):
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(document) + "\n" for document in [*DOCUMENTS, ["a", "b"]]))
    forward = SentenceOrderingPipeline.forward
    factors = iter([1.0, 1.0, float("nan")])

    def break_down(self, inputs, **kwargs):
        return {"logits": forward(self, inputs, **kwargs)["logits"] * next(factors)}

    monkeypatch.setattr(SentenceOrderingPipeline, "forward", break_down)
    with pytest.raises(SystemExit, match="(?s)finite.*Only the 2 documents before it were answered"):
        run("--input", "in.jsonl", "--output", "out.jsonl", "--batch_size", "1")
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2


def test_what_was_ordered_before_memory_ran_out_is_kept(run, monkeypatch, tmp_path):
    forward = SentenceOrderingPipeline.forward
    batches = iter(range(LOOK_AHEAD))

    def run_out(self, inputs, **kwargs):
        if next(batches, None) is None:
            raise torch.OutOfMemoryError("out of memory. Tried to allocate 9 GiB.\nA page of advice.")
        return forward(self, inputs, **kwargs)

    monkeypatch.setattr(SentenceOrderingPipeline, "forward", run_out)
    (tmp_path / "in.jsonl").write_text('["b", "a"]\n' * (LOOK_AHEAD + 1))
    with pytest.raises(SystemExit) as stopped:
        run("--input", "in.jsonl", "--output", "out.jsonl", "--batch_size", "1")
    assert str(stopped.value) == (
        "OutOfMemoryError: out of memory. Tried to allocate 9 GiB.\nOnly the 32 documents before it were answered. "
        "Give a smaller --batch_size, or --max_tokens_per_batch."
    )
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 32


def test_one_document_that_was_answered_before_an_error_is_one(run, tmp_path):
    (tmp_path / "in.jsonl").write_text('["a", "b"]\n{"oops"\n')
    with pytest.raises(SystemExit, match="Only the document before it was answered"):
        run("--input", "in.jsonl", "--output", "out.jsonl")


@pytest.mark.parametrize("output", ["out.parquet", "out.csv"])
@pytest.mark.parametrize("name", ["in.txt", "in.jsonl", "in.csv"])
def test_an_empty_file_gives_a_table_without_rows(name, output, run, tmp_path):
    (tmp_path / name).write_bytes(b"")
    run("--input", name, "--output", output)
    if output == "out.csv":
        assert (tmp_path / output).read_bytes() == b""
    else:
        assert (pq.read_schema(tmp_path / output).names, pq.read_table(tmp_path / output).num_rows) == ([*ADDED], 0)
