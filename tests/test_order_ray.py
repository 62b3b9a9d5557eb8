"""`scripts/order_ray.py`: its parts without Ray, and the whole on a local cluster of two actors."""

import contextlib
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cluster.orderer import Orderer, find_columns
from cluster.tables import Place, check_ids, find_parquet, open_table, read_schema
from order_ray import RayArguments, check_cluster, keep_settings, main

SCRIPT = Path(__file__).parents[1] / "scripts" / "order_ray.py"
# Seconds to wait for what takes some at most, and minutes on a busy machine.
PATIENCE = 600
OPTIONS = {
    "batch_size": 8,
    "max_tokens_per_batch": None,
    "num_workers": 0,
    "num_shuffles": 1,
    "canonical": False,
    "overlong": "window",
    "seed": 0,
}


def write_parquet(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def ids_of(*paths):
    """Check the ids of files."""
    place = Place.of(str(paths[0].parent))
    return check_ids(open_table(place.filesystem, [place.filesystem.get_file_info(str(path)) for path in paths]), "id")


class TestFiles:
    @pytest.fixture
    def folder(self, tmp_path):
        for name in ("b.parquet", "a.parquet", "deep/c.parquet", "_SUCCESS", ".hidden/d.parquet"):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            write_parquet(path, id=[1])
        return tmp_path

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("", ["a.parquet", "b.parquet", "deep/c.parquet"]),
            ("a.parquet", ["a.parquet"]),
            ("*.parquet", ["a.parquet", "b.parquet"]),
            ("de*/*.parquet", ["deep/c.parquet"]),
        ],
    )
    @pytest.mark.parametrize("scheme", ["", "file://", "fsspec+file://"])
    def test_a_file_a_folder_or_a_pattern_names_them(self, scheme, name, expected, folder):
        files = find_parquet(Place.of(f"{scheme}{folder}/{name}"))
        assert [os.path.relpath(info.path, folder) for info in files] == expected

    def test_other_kinds_are_refused_by_name(self, folder):
        (folder / "stories.jsonl").write_text("{}")
        with pytest.raises(ValueError, match=r"stories\.jsonl: is no Parquet file"):
            find_parquet(Place.of(str(folder)))

    @pytest.mark.parametrize("name", ["nothing", "*.parquet.gz", "_SUCCESS/x.parquet"])
    def test_none_is_an_error(self, name, folder):
        with pytest.raises(ValueError, match="there are no Parquet files"):
            find_parquet(Place.of(f"{folder}/{name}"))

    def test_an_unknown_filesystem_is_named(self):
        with pytest.raises(ValueError, match=r"^unknown://bucket: pyarrow knows no such filesystem"):
            Place.of("unknown://bucket")


class TestColumns:
    def test_of_all_files_are_the_same(self, tmp_path):
        write_parquet(tmp_path / "a.parquet", id=[1], sentences=[["One."]])
        write_parquet(tmp_path / "b.parquet", id=["1"], sentences=[["One."]])
        place = Place.of(str(tmp_path))
        with pytest.raises(ValueError, match=r"b\.parquet: has the columns\nid \(string\)"):
            read_schema(place.filesystem, find_parquet(place))

    def test_whose_name_is_no_text_are_refused(self, tmp_path):
        path = tmp_path / "corpus.parquet"
        write_parquet(path, sentences=[["One."]], noise=[1])
        path.write_bytes(path.read_bytes().replace(b"noise", b"no\x80se"))
        place = Place.of(str(tmp_path))
        with pytest.raises(ValueError, match=r"corpus\.parquet: is no Parquet file that can be read .'utf-8' codec"):
            read_schema(place.filesystem, find_parquet(place))

    def test_of_one_name_are_refused(self, tmp_path):
        pq.write_table(pa.table([["a"], ["x"], ["y"]], names=["text", "id", "id"]), tmp_path / "corpus.parquet")
        place = Place.of(str(tmp_path))
        with pytest.raises(ValueError, match=r"corpus\.parquet: columns 2 and 3 are both named 'id'\. Rename one"):
            read_schema(place.filesystem, find_parquet(place))

    def test_a_damaged_file_is_named(self, tmp_path):
        write_parquet(tmp_path / "a.parquet", id=[1])
        (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-9])
        place = Place.of(str(tmp_path))
        with pytest.raises(ValueError, match=r"b\.parquet: is no Parquet file that can be read"):
            read_schema(place.filesystem, find_parquet(place))

    @pytest.mark.parametrize(
        ("columns", "expected"),
        [
            ({"sentences": pa.list_(pa.string())}, ["sentences"]),
            ({"sentences": pa.large_list(pa.large_string())}, ["sentences"]),
            ({"sentence2": pa.string(), "sentence1": pa.string()}, ["sentence1", "sentence2"]),
        ],
    )
    def test_of_sentences_are_found(self, columns, expected):
        assert find_columns(pa.schema(columns), "stop") == expected

    @pytest.mark.parametrize(
        ("columns", "reason"),
        [
            ({"text": pa.string()}, r"no column 'sentences', nor sentence1, sentence2, ..., only \['text'\]"),
            ({"sentences": pa.string()}, "'sentences' is of type string, but has to hold lists of strings"),
            ({"sentences": pa.list_(pa.int64())}, r"is of type list<.*int64>, but has to hold lists of strings"),
            (
                {"sentence1": pa.list_(pa.string()), "sentence2": pa.string()},
                "'sentence1' is of type list<.*>, but has to hold strings",
            ),
            (
                {"sentences": pa.list_(pa.string()), "order": pa.int64()},
                r"has the columns \['order'\], which the answer",
            ),
            ({"sentences": pa.list_(pa.string()), "reason": pa.int64()}, r"has the columns \['reason'\], which"),
        ],
    )
    def test_that_do_not_fit_are_refused(self, columns, reason):
        with pytest.raises(ValueError, match=reason):
            find_columns(pa.schema(columns), "skip")


class TestIds:
    @pytest.mark.parametrize("make", [int, str])
    def test_each_once_are_counted(self, make, tmp_path):
        a = write_parquet(tmp_path / "a.parquet", id=[make(i) for i in range(5)])
        b = write_parquet(tmp_path / "b.parquet", id=[make(i) for i in range(5, 8)])
        assert len(set(ids_of(a, b).tolist())) == 8

    @pytest.mark.parametrize("make", [int, str])
    def test_twice_are_named_also_in_two_files(self, make, tmp_path):
        a = write_parquet(tmp_path / "a.parquet", id=[make(1), make(2)])
        b = write_parquet(tmp_path / "b.parquet", id=[make(2), make(3)])
        with pytest.raises(ValueError, match=f"1 ids in 'id' stand in several rows, {make(2)!r} for example"):
            ids_of(a, b)

    def test_with_alike_hashes_are_not_taken_for_one(self, tmp_path, monkeypatch):
        monkeypatch.setattr("pandas.util.hash_array", lambda ids, categorize: ids.astype("uint64") // 2)
        assert ids_of(write_parquet(tmp_path / "a.parquet", id=[1, 2, 3])).tolist() == [0, 1, 1]

    @pytest.mark.parametrize(
        ("ids", "reason"),
        [
            (pa.array([1, None]), "1 rows have no id in 'id'"),
            (pa.array([1.5]), "The ids in 'id' are of type double. Make them integers or strings"),
            (pa.array([], pa.int64()), "nothing to order"),
        ],
    )
    def test_of_another_kind_are_refused(self, ids, reason, tmp_path):
        with pytest.raises(ValueError, match=reason):
            ids_of(write_parquet(tmp_path / "a.parquet", id=ids))

    def test_need_a_column(self, tmp_path):
        with pytest.raises(ValueError, match=r"no column 'id' of ids, only \['key'\]. Name it: `--id_column`"):
            ids_of(write_parquet(tmp_path / "a.parquet", key=[1]))


class TestSettings:
    def test_are_the_same_or_refused(self, tmp_path):
        checkpoint, output = Place.of(str(tmp_path / "checkpoint")), Place.of(str(tmp_path / "out"))
        keep_settings(checkpoint, output, {"model": "a", "seed": 0})
        keep_settings(checkpoint, output, {"model": "a", "seed": 0})
        with pytest.raises(ValueError, match="was begun with another model: model 'a' is now 'b'"):
            keep_settings(checkpoint, output, {"model": "b", "seed": 0})

    def test_are_not_taken_over_for_foreign_files(self, tmp_path):
        (tmp_path / "mine.txt").write_text("")
        with pytest.raises(ValueError, match="has files in it already"):
            keep_settings(Place.of(str(tmp_path / "checkpoint")), Place.of(str(tmp_path)), {})


class TestCluster:
    def arguments(self, **options):
        return RayArguments("in", "out", **options)

    def test_with_room_is_taken(self):
        check_cluster({"CPU": 6, "GPU": 2}, self.arguments(num_actors=4, num_gpus=0.5))

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"num_actors": 2}, "has 3 CPUs, but 4 are needed: 1 for each of 2 actors, and 2 to read"),
            ({"num_gpus": 1}, "has 0 GPUs, but 1 are needed: 1 for each of 1 actors. Lower `--num_actors`"),
            ({"num_actors": 0}, "`--num_actors 0` order nothing"),
        ],
    )
    def test_without_room_is_refused(self, options, reason):
        with pytest.raises(ValueError, match=reason):
            check_cluster({"CPU": 3}, self.arguments(**options))


class TestOrderer:
    def make(self, folder, columns=("sentences",), on_error="skip", **options):
        return Orderer(str(folder), OPTIONS | options, list(columns), "id", on_error)

    def test_answers_are_those_of_the_pipeline(self, orderer_folder, stories):
        documents = [stories[0][::-1], [], stories[1], ["One."]]
        table = pa.table({"id": range(4), "topic": list("abcd"), "sentences": documents})
        actor = self.make(orderer_folder, on_error="stop")
        rows = actor(table).to_pylist()
        assert rows == [
            {"id": i, "topic": "abcd"[i]} | answer for i, answer in enumerate(actor.pipeline(documents, batch_size=8))
        ]

    def test_numbered_columns_keep_their_empty_ends(self, orderer_folder):
        table = pa.table(
            {"id": [1, 2], "sentence1": ["a", "One."], "sentence2": ["b", "Two."], "sentence3": ["c", None]}
        )
        first, second = self.make(orderer_folder, ["sentence1", "sentence2", "sentence3"])(table).to_pylist()
        assert sorted([first["sentence1"], first["sentence2"], first["sentence3"]]) == ["a", "b", "c"]
        assert [first[f"sentence{1 + place}"] for place in first["positions"]] == ["a", "b", "c"]
        assert sorted([second["sentence1"], second["sentence2"]]) == ["One.", "Two."]
        assert second["sentence3"] is None

    def test_constraints_are_kept(self, orderer_folder, stories):
        constraints = [{"first": index} for index in range(3)]
        table = pa.table({"id": range(3), "sentences": [stories[0]] * 3, "constraints": constraints})
        assert [order[0] for order in self.make(orderer_folder)(table)["order"].to_pylist()] == [0, 1, 2]

    def test_what_is_no_document_is_kept_with_the_reason(self, orderer_folder):
        broken = pa.array([b"\xff", b"Two."]).cast(pa.binary()).view(pa.binary())
        broken = pa.Array.from_buffers(pa.string(), 2, broken.buffers())
        documents = pa.ListArray.from_arrays([0, 1, 2], broken)
        table = pa.table(
            {
                "id": ["good", "null", "hole", "utf"],
                "sentences": pa.chunked_array(
                    [pa.array([["b", "a"], None, ["a", None]], pa.list_(pa.string())), documents.slice(0, 1)]
                ),
            }
        )
        answered = self.make(orderer_folder)(table)
        assert answered["id"].to_pylist() == ["good", "null", "hole", "utf"]
        assert answered["order"].null_count == answered["positions"].null_count == answered["scores"].null_count == 3
        good, *reasons = answered["reason"].to_pylist()
        assert good is None
        for reason, start in zip(reasons, ("id 'null'", "id 'hole'", "id 'utf'"), strict=True):
            assert reason.startswith(start)
        assert answered["sentences"].slice(1).equals(table["sentences"].slice(1))

    def test_what_is_no_document_stops(self, orderer_folder):
        table = pa.table({"id": [7], "sentences": pa.array([None], pa.list_(pa.string()))})
        with pytest.raises(TypeError, match="^id 7"):
            self.make(orderer_folder, on_error="stop")(table)

    @pytest.mark.parametrize("rows", [0, 1])
    def test_columns_are_the_same_whatever_the_rows(self, rows, orderer_folder):
        table = pa.table({"id": range(rows), "sentences": pa.array([["a"]] * rows, pa.list_(pa.string()))})
        assert self.make(orderer_folder)(table).schema.names == [
            *("id", "sentences", "order", "scores", "positions", "confidence", "reason")
        ]


def free_ports(count):
    """Find ports that no program listens at."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname()[1] for free in sockets]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Start a cluster with a token of its own, which outlives the programs that use it."""
    pytest.importorskip("ray")
    folder = tmp_path_factory.mktemp("ray")
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    # Left to choose ports, Ray 2.60 waits 15 seconds for them and then dies, which is too short on a busy machine.
    names = ("port", "metrics-export-port", "dashboard-agent-listen-port", "runtime-env-agent-port")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    options = ["--head", "--num-cpus", "4", "--include-dashboard=false", "--block", "--disable-usage-stats"]
    with (
        pytest.MonkeyPatch.context() as environment,
        TemporaryDirectory(prefix="ray-") as work,  # A path to a socket must be short.
        (folder / "log").open("wb") as log,
    ):
        environment.setenv("RAY_AUTH_MODE", "token")
        environment.setenv("RAY_AUTH_TOKEN_PATH", str(token))
        environment.setenv("RAY_worker_niceness", "0")
        program = str(Path(sys.executable).with_name("ray"))
        options += ["--temp-dir", work, *(f"--{name}={port}" for name, port in ports.items())]
        cluster = subprocess.Popen([program, "start", *options], stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: any(Path(work).glob("*/sockets/raylet")), cluster, folder / "log")
            yield f"127.0.0.1:{ports['port']}"
        finally:
            cluster.terminate()
            cluster.wait()


@pytest.mark.slow
class TestLocalCluster:
    """A cluster of two actors; a run under load takes minutes, and so `make test` leaves it to `make test-ray`."""

    @pytest.fixture
    def command(self, address, orderer_folder, stories, tmp_path):
        """The program over 240 documents in 12 pieces."""
        (tmp_path / "in").mkdir()
        for number in range(4):
            ids = range(number * 60, number * 60 + 60)
            write_parquet(tmp_path / "in" / f"{number}.parquet", id=ids, sentences=[stories[i] for i in ids])
        options = {
            "model": orderer_folder,
            "input": tmp_path / "in",
            "output_dir": tmp_path / "out",
            "num_actors": 2,
            "batch_size": 1,
            "num_blocks": 12,
            "address": address,
        }
        return [sys.executable, SCRIPT, *(f"--{name}={value}" for name, value in options.items())]

    def test_killed_actor_and_driver_cost_no_row_and_double_none(self, command, tmp_path):
        log = tmp_path / "log"
        with log.open("wb") as file:
            driver = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        notes = tmp_path / "out.checkpoint" / "ids"

        def done():
            return [path for path in notes.glob("*.parquet") if ".pending" not in path.name]

        wait_until(lambda: done() and re.search(r"Orderer\)\) pid=(\d+)", log.read_text()), driver, log)
        os.kill(int(re.findall(r"Orderer\)\) pid=(\d+)", log.read_text())[0]), signal.SIGKILL)
        count = random.randint(2, 8)
        wait_until(lambda: len(done()) >= count, driver, log)
        driver.kill()
        assert driver.wait() == -signal.SIGKILL
        before = {path.name for path in done()}
        assert len(before) < 12

        again = subprocess.run(command, capture_output=True, text=True)
        assert again.returncode == 0, again.stderr
        assert "240 rows" in again.stderr
        assert before <= {path.name for path in done()}
        ids = pq.read_table(tmp_path / "out")["id"].to_pylist()
        assert sorted(ids) == list(range(240))

    def test_with_too_few_cpus_is_refused(self, command, tmp_path):
        refused = subprocess.run([*command, "--num_actors=3"], capture_output=True, text=True)
        assert refused.returncode == 1
        assert "The cluster has 4 CPUs, but 5 are needed: 1 for each of 3 actors, and 2 to read" in refused.stderr
        assert not (tmp_path / "out").exists()


class TestProgram:
    """What the program refuses before it looks for a cluster."""

    @pytest.fixture
    def refusal(self, tmp_path, monkeypatch):
        """Run the program, and return why it ended."""
        monkeypatch.setitem(sys.modules, "ray", SimpleNamespace())
        monkeypatch.setitem(sys.modules, "ray.exceptions", SimpleNamespace(RayError=RuntimeError))

        def run(*options):
            with pytest.raises(SystemExit) as ended:
                main(["--input", str(tmp_path / "in"), "--output_dir", str(tmp_path / "out"), *options])
            assert not (tmp_path / "out.checkpoint").exists()
            return ended.value.code

        (tmp_path / "in").mkdir()
        return run

    def test_json(self, refusal, tmp_path):
        (tmp_path / "in" / "a.jsonl").write_text('{"id": 1, "sentences": ["One."]}')
        assert "a.jsonl: is no Parquet file, which alone can be read on a cluster" in refusal()

    def test_ids_that_are_there_twice(self, refusal, tmp_path):
        write_parquet(tmp_path / "in" / "a.parquet", id=[1, 2, 2], sentences=[["One."]] * 3)
        assert "1 ids in 'id' stand in several rows, 2 for example" in refusal()

    @pytest.mark.parametrize("scheme", ["", "ray://"])
    def test_a_cluster_that_does_not_answer(self, scheme, refusal, tmp_path):
        write_parquet(tmp_path / "in" / "a.parquet", id=[1], sentences=[["One."]])
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        reason = refusal("--address", f"{scheme}127.0.0.1:{port}")
        assert reason.startswith(f"No cluster answers at '{scheme}127.0.0.1:{port}' (")


def wait_until(condition, process, log):
    """Wait for something that a process does, which writes to a log."""
    began = time.monotonic()
    while not condition():
        for waited_in_vain in (process.poll() is not None, time.monotonic() - began > PATIENCE):
            assert not waited_in_vain, log.read_text()[-2000:]
        time.sleep(0.05)
