"""Many files: `KILLS=20 pytest tests/commands/test_shards.py -k kills` kills as many runs at random moments."""

import gzip
import json
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from sentence_ordering import commands
from sentence_ordering.commands import shards, workers
from sentence_ordering.commands.answering import ADDED, Run
from sentence_ordering.commands.manifests import FOLDER
from sentence_ordering.commands.order_arguments import OrderArguments, PipelineArguments

KILLS = int(os.environ.get("KILLS", "4"))
NAMES = ("a.jsonl", "b.jsonl.gz", "c.csv", "d.tsv", "e.json", "f.parquet", "g.parquet")


@pytest.fixture
def run(orderer_folder, tmp_path, monkeypatch):
    """Run the program in a folder; its processes are forked, because that takes no time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workers, "START_METHOD", "fork")

    def run(*options):
        commands.main(["order", "--model", str(orderer_folder), *options])

    return run


@pytest.fixture
def order(run):
    """Run the program on the files of `shards`."""
    return lambda *options: run("--input", "shards/*", "--output_dir", "ordered", *options)


@pytest.fixture
def given(counted, tmp_path):
    """A file of each form in `shards`, with an id in every row."""
    folder = tmp_path / "shards"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        write_rows(
            folder / name, [{"id": f"{name}-{i}", "sentences": d} for i, d in enumerate(counted[number * 20 :][:20])]
        )
    return folder


def write_rows(path, rows):
    lines = [json.dumps(row) for row in rows]
    if path.suffix == ".parquet":
        pq.write_table(
            pa.Table.from_pylist(rows, pa.schema({"id": pa.string(), "sentences": pa.list_(pa.string())})), path
        )
    elif path.suffix in (".csv", ".tsv"):
        between = "," if path.suffix == ".csv" else "\t"
        cells = [[row["id"], '"' + json.dumps(row["sentences"]).replace('"', '""') + '"'] for row in rows]
        path.write_text("".join(between.join(line) + "\n" for line in [["id", "sentences"], *cells]))
    elif path.suffix == ".json":
        path.write_text(f"[\n{','.join(lines)}]")
    else:
        text = "".join(f"{line}\n" for line in lines).encode()
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


def contents(folder):
    """All files of a folder but the manifests' contents, in which times differ."""
    return {
        str(path.relative_to(folder)): None if path.parent.name == FOLDER else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def summary_of(capfd):
    return re.findall(r"^(?:Files|Documents).*", capfd.readouterr().err, flags=re.MULTILINE)


def test_every_file_is_ordered_as_it_would_be_alone(run, order, given, tmp_path, capfd):
    order("--num_processes", "2")
    assert summary_of(capfd) == [
        "Files: 7 ordered, 0 ordered before, 0 failed.",
        "Documents of the ordered ones: 140 in = 140 out + 0 rejected.",
    ]
    (tmp_path / "alone").mkdir()
    for name in NAMES:
        run("--input", f"shards/{name}", "--output", f"alone/{name}")
    alone = contents(tmp_path / "alone")
    assert contents(tmp_path / "ordered") == alone | {f"{FOLDER}/{name}.json": None for name in NAMES}
    rows = pq.read_table(tmp_path / "ordered" / "g.parquet").to_pylist()
    assert [row["id"] for row in rows] == [f"g.parquet-{i}" for i in range(20)]
    assert set(rows[0]) == {"id", "sentences", *ADDED["order"]}


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.json", '{"sentences": ["a", "b"]}\n{"sentences": ["c"]}\n', []),
        ("a.csv", '{"sentences": ["a", "b"]}\n{"sentences": ["c"]}\n', ["--format", "jsonl"]),
    ],
)
def test_an_output_is_of_the_form_that_its_input_has_and_not_its_name(name, content, options, order, tmp_path):
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / name).write_text(content)
    order(*options)
    rows = [json.loads(line) for line in (tmp_path / "ordered" / name).open()]
    assert [sorted(row["sentences"]) for row in rows] == [["a", "b"], ["c"]]


def test_a_rerun_orders_what_is_missing(order, given, tmp_path, capfd, monkeypatch):
    order()
    first = contents(tmp_path / "ordered")
    (tmp_path / "ordered" / "c.csv").unlink()
    os.utime(given / "a.jsonl")  # As if it had been copied anew.
    asked = []
    monkeypatch.setattr(shards, "spread", lambda start, tasks, *_: asked.append(list(tasks)) or iter(()))
    order("--batch_size", "2")
    assert [[shard.input.name for shard in tasks] for tasks in asked] == [["c.csv"]]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workers, "START_METHOD", "fork")
    capfd.readouterr()
    order()
    assert contents(tmp_path / "ordered") == first
    assert summary_of(capfd)[0] == "Files: 1 ordered, 6 ordered before, 0 failed."


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            None,
            ["--seed", "1"],
            r"^ordered/a.jsonl is there already, but differs: seed was 0 and is now 1\..* with 7 of the 7 files",
        ),
        (None, ["--canonical"], "canonical was False and is now True"),
        ("model", [], r"model was '\w{16}' and is now '\w{16}'"),
        (
            "shards/a.jsonl",
            [],
            "ordered/a.jsonl is there already, but differs: the input shards/a.jsonl has changed since",
        ),
        ("ordered/a.jsonl", [], "ordered/a.jsonl is there already, but differs: it had [0-9,]+ bytes then"),
        (f"ordered/{FOLDER}/a.jsonl.json", [], "ordered/a.jsonl is there already, but .*a.jsonl.json does not say how"),
    ],
)
def test_what_was_made_in_another_way_is_refused_and_stays(
    change, options, message, order, orderer_folder, given, tmp_path
):
    order()
    if change == "model":
        (orderer_folder / "config.json").write_text((orderer_folder / "config.json").read_text() + "\n")
    elif change is not None:
        path = tmp_path / change
        path.write_bytes(b"{}" if FOLDER in change else path.read_bytes() + b"\n")
    before = contents(tmp_path / "ordered")
    with pytest.raises(SystemExit, match=message) as exit_:
        order(*options)
    assert re.search("Choose another --output_dir, or remove the file", exit_.value.code)
    assert contents(tmp_path / "ordered") == before


def test_parts_are_all_and_each_once(order, given, tmp_path):
    for part in range(3):
        order("--shard", f"{part}/3")
        names = sorted(path.name for path in (tmp_path / "ordered").glob("*.*") if path.is_file())
        assert names == sorted(name for i, name in enumerate(NAMES) if i % 3 <= part)
    order("--shard", "7/8")  # More parts than files: nothing to do is no error.


def test_what_is_no_document_stands_beside_and_is_counted(order, given, tmp_path, capfd):
    with (given / "a.jsonl").open("a") as file:
        file.write('{"sentences": "no list"}\n{\n')
    with pytest.raises(SystemExit, match=r"^Not ordered: shards/a.jsonl\. The same command tries these again"):
        order()
    errors = capfd.readouterr().err
    assert "Not ordered: shards/a.jsonl:21: " in errors and "`--on_error skip` sets it aside." in errors
    assert "Files: 6 ordered, 0 ordered before, 1 failed.\n" in errors
    assert "Documents of the ordered ones: 120 in = 120 out + 0 rejected." in errors
    assert not (tmp_path / "ordered" / "a.jsonl").exists()
    order("--on_error", "skip")
    assert summary_of(capfd)[1] == "Documents of the ordered ones: 142 in = 140 out + 2 rejected."
    rejects = [json.loads(line) for line in (tmp_path / "ordered" / "a.jsonl.rejects").read_text().splitlines()]
    assert [(reject["source"], reject["line"]) for reject in rejects] == [
        ("shards/a.jsonl", 21),
        ("shards/a.jsonl", 22),
    ]


def test_rejects_of_a_run_before_go_with_its_output(order, tmp_path):
    (tmp_path / "shards").mkdir()
    given, ordered = tmp_path / "shards" / "a.jsonl", tmp_path / "ordered" / "a.jsonl"
    given.write_text('["a", "b"]\n{\n')
    order("--on_error", "skip")
    rejects = ordered.with_name("a.jsonl.rejects")
    assert rejects.exists()
    given.write_text('["a", "b"]\n["c", "d"]\n')
    ordered.unlink()
    order()
    assert (len(ordered.read_text().splitlines()), rejects.exists()) == (2, False)


def test_files_without_documents_stay_files_of_their_form(order, tmp_path):
    (tmp_path / "shards").mkdir()
    for name in ("a.jsonl", "c.csv", "e.json", "f.parquet"):
        write_rows(tmp_path / "shards" / name, [])
    order()
    assert (tmp_path / "ordered" / "a.jsonl").read_bytes() == b""
    assert json.loads((tmp_path / "ordered" / "e.json").read_text()) == []
    schema = pq.read_schema(tmp_path / "ordered" / "f.parquet")
    assert schema.names == ["id", "sentences", *ADDED["order"]]
    assert schema.field("id").type == pa.string()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--input", "none/*.jsonl"], "^There is no file 'none/\\*.jsonl'.$"),
        (["--input", "shards"], "^'shards' is a folder. Name its files"),
        (["--input", "-"], "name the files to read"),
        (["--output_dir", "shards"], "shards/a.jsonl is input, and lies in --output_dir shards"),
        (["--output_dir", "shards/.."], "shards/a.jsonl is input, and lies in --output_dir"),
        (["--output_dir", "shards/a.jsonl"], "shards/a.jsonl"),
        (["--input", "[ms]*/*.jsonl"], r"more/a.jsonl and shards/a.jsonl would both be written to new/a.jsonl"),
        (["--input", "odd/*"], "odd/x.dat: .* said with `--format`"),
        (["--input", "links/*"], "links/a.jsonl is no file that could be read"),
        (["--output", "x.jsonl"], "leave out `--output`"),
        (["--rejects", "x.jsonl", "--on_error", "skip"], "leave out `--output` and `--rejects`"),
        (["--num_processes", "0"], "`--num_processes` must be at least 1"),
        (["--shard", "2/2"], "`--shard 2/2`: expected i/n with i from 0 to n - 1"),
        (["--shard", "1"], "`--shard 1`: expected i/n"),
        (["--shard", ""], "`--shard `: expected i/n"),
        (["--output_dir", ""], "^--output_dir is empty"),
        (["--model", "absent"], "couldn't find them in the cached files"),
    ],
)
def test_what_cannot_be_is_told_and_changes_nothing(options, message, run, given, tmp_path):
    for name, text in (("more/a.jsonl", "[]"), ("odd/x.dat", "a")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a.jsonl").symlink_to("absent")
    before = contents(tmp_path)
    with pytest.raises(SystemExit, match=message):
        run("--input", "shards/*", "--output_dir", "new", *options)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("options", [["--num_processes", "2"], ["--shard", "0/2"]])
def test_options_for_many_files_need_their_folder(options, run, tmp_path):
    with pytest.raises(SystemExit, match="are for many files. Name a folder with `--output_dir`"):
        run(*options)


def test_a_file_that_a_glob_finds_twice_is_ordered_once(run, given, tmp_path, capfd):
    run("--input", "**/**/[ab].*", "--output_dir", "ordered")
    assert summary_of(capfd)[0] == "Files: 2 ordered, 0 ordered before, 0 failed."


def test_outputs_that_a_glob_finds_again_are_no_input(run, given, tmp_path, capfd):
    for before in (0, 2):
        run("--input", "**/[ab].*", "--output_dir", "shards/ordered")
        assert summary_of(capfd)[0] == f"Files: {2 - before} ordered, {before} ordered before, 0 failed."


def test_a_process_that_dies_costs_its_file_alone(order, given, tmp_path, capfd, monkeypatch):
    undisturbed = Run.answer_all

    def die(self, progress):
        if self.args.input.endswith("b.jsonl.gz"):
            self.output.write(b"half")
            self.output.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        undisturbed(self, progress)

    monkeypatch.setattr(Run, "answer_all", die)
    for processes in ("1", "2"):
        with pytest.raises(SystemExit, match=r"^Not ordered: shards/b.jsonl.gz\. The same command"):
            order("--num_processes", processes)
        errors = capfd.readouterr().err
        assert "Not ordered: shards/b.jsonl.gz: its process died (signal 9, SIGKILL)." in errors
    assert {path.name for path in (tmp_path / "ordered").iterdir()} == {
        *(set(NAMES) - {"b.jsonl.gz"}),
        FOLDER,
        ".b.jsonl.gz.0.tmp",
    }
    monkeypatch.setattr(Run, "answer_all", undisturbed)
    order()
    assert {path.name for path in (tmp_path / "ordered").iterdir()} == {*NAMES, FOLDER}


def test_processes_that_cannot_start_end_the_program(order, given, monkeypatch):
    monkeypatch.setattr(shards, "load_orderer", lambda *args, **kwargs: os._exit(1))
    with pytest.raises(SystemExit, match=r"^No process is left: they died while they started \(exit status 1\)"):
        order("--num_processes", "2")


def test_processes_that_cannot_load_the_orderer_say_why(order, orderer_folder, given):
    (orderer_folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(SystemExit, match=r"^The weights of '.*' cannot be read"):
        order("--num_processes", "2")


def test_kills_at_random_moments_lose_and_add_nothing(run, given, tmp_path):
    with (given / "a.jsonl").open("a") as file:
        file.write("{\n")
    rng = random.Random(KILLS)

    def start(folder):
        options = ["--input", "shards/*", "--output_dir", folder, "--num_processes", "2", "--on_error", "skip"]
        program = multiprocessing.get_context("fork").Process(
            target=as_program, args=(run, [*options, "--batch_size", "2"])
        )
        program.start()
        return program

    began = time.monotonic()
    start("undisturbed").join()
    took = time.monotonic() - began
    expected = contents(tmp_path / "undisturbed")
    assert len(expected) == 3 * len(NAMES)
    runs = hits = 0
    while hits < KILLS:
        runs += 1
        folder = f"killed-{runs}"
        program = start(folder)
        time.sleep(rng.uniform(0, took))
        children = [int(pid) for pid in Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()]
        try:
            if rng.random() < 0.5 and children:
                os.kill(rng.choice(children), signal.SIGKILL)
            else:
                os.killpg(program.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # It was faster.
        program.join()
        disturbed = contents(tmp_path / folder) != expected
        again = start(folder)
        again.join()
        assert again.exitcode == 0
        assert contents(tmp_path / folder) == expected
        hits += disturbed
        took *= 1 if disturbed else 0.8  # A kill that came too late disturbed nothing: the machine has become faster.


def test_the_process_that_reports_does_not_wait_for_torch(orderer_folder, given, tmp_path):
    code = (
        "import sys\n"
        "from sentence_ordering.commands import main, shards\n"
        "shards.spread = lambda *_: []\n"
        "main(['order', '--model', sys.argv[1], '--input', 'shards/*', '--output_dir', 'ordered'])\n"
        "print({'torch', 'datasets'} & sys.modules.keys())\n"
    )
    command = [sys.executable, "-c", code, str(orderer_folder)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
    assert run.stderr.splitlines()[-2] == "Files: 0 ordered, 0 ordered before, 0 failed."


def as_program(run, options):
    os.setpgid(0, 0)
    sys.stderr = open(os.devnull, "w")
    run(*options)


@pytest.mark.slow
def test_processes_end_with_a_killed_program(run, orderer_folder, given, counted, tmp_path):
    write_rows(given / "a.jsonl", [{"id": str(i), "sentences": counted[i % 160]} for i in range(20_000)])
    options = ["--input", "shards/a.jsonl", "--output_dir", "ordered", "--num_processes", "2", "--batch_size", "1"]
    command = [sys.executable, "-c", "from sentence_ordering.commands import main; main()", "order"]
    program = subprocess.Popen([*command, "--model", str(orderer_folder), *options], stderr=subprocess.DEVNULL)
    aside = tmp_path / "ordered" / ".a.jsonl.0.tmp"
    wait_for(lambda: aside.exists() and aside.stat().st_size > 0)
    children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
    assert len(children) == 2, "the worker, and Python's tracker of resources"
    program.kill()
    program.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
    assert not (tmp_path / "ordered" / "a.jsonl").exists()
    write_rows(given / "a.jsonl", [{"id": "0", "sentences": counted[0]}])
    run(*options)
    assert {path.name for path in (tmp_path / "ordered").iterdir()} == {"a.jsonl", FOLDER}


def wait_for(condition):
    until = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_processes_share_threads_and_take_turns_on_devices(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 9)
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(shards, "load_orderer", lambda model, device, **options: chosen.append(device))
    monkeypatch.delenv("RAYON_NUM_THREADS", raising=False)
    job = shards.Job(OrderArguments(), PipelineArguments(), {}, processes=3)
    for number in range(3):
        shards.start_worker(job, number)
    assert chosen == [3, "cuda:0", 3, "cuda:1", 3, "cuda:0"]
    job.options.int8 = True
    shards.start_worker(job, 0)
    assert chosen[-1] is None
    assert os.environ.pop("RAYON_NUM_THREADS") == "3"
