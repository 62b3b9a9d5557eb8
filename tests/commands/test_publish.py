"""The program that publishes, against a small Hub on this machine."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import huggingface_hub
import pytest
from transformers import pipeline

from sentence_ordering import commands, encode_documents
from sentence_ordering.commands import publish, publish_files, publish_upload

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = ["Then he ate it.", "So he bought a cake.", "Tom was hungry."]
CARD = """---
library_name: transformers
tags:
- sentence-ordering
---

# An orderer

![Predicted and true positions](plots/positions.png) <img src="curve.svg"> ![badge](https://example.org/badge.png)
"""
EXPECTED = {
    *(path.name for path in (Path(publish.__file__).parents[1] / "model").glob("[!_]*.py")),
    "README.md",
    "all_results.json",
    "config.json",
    "curve.svg",
    "eval_results.json",
    "metrics.json",
    "model.safetensors",
    "plots/positions.png",
    "tokenizer.json",
    "tokenizer_config.json",
    "trainer_state.json",
}
TOKEN = "hf_" + "aB3dE6gH9j" * 3
STATE = {"best_model_checkpoint": "/data/alice/output/checkpoint-2", "global_step": 4}
LEFT_OUT = {
    "checkpoint-2/model.safetensors",
    "checkpoint-2/optimizer.pt",
    "optimizer.pt",
    "other.png",
    "predictions.jsonl",
    "pytorch_model.bin",
    "runs/events.out.tfevents.1",
    "training_args.bin",
    "weights.model",
}

LOAD = """
import torch
from transformers import AutoModel, pipeline
repository, rows, document = json.loads(sys.argv[1])
model = AutoModel.from_pretrained(repository, trust_remote_code=True)
logits = model(**{name: torch.tensor(row) for name, row in rows.items()}).logits
answer = pipeline("sentence-ordering", model=repository, trust_remote_code=True)(document)
print(json.dumps({"module": type(model).__module__, "logits": logits.tolist(), "answer": answer}))
"""

# The Hub below answers each token in its own way.
PUBLISH_AS = """
import json, os, sys
from sentence_ordering.commands import main
for token, *arguments in json.loads(sys.argv[1]):
    os.environ["HF_TOKEN"] = token
    try:
        main(["publish", *arguments])
    except SystemExit as exit_:
        print(exit_.code, file=sys.stderr)
"""


class Hub(ThreadingHTTPServer):
    """As much of the Hub as an upload and a download speak with; it takes the token hf_test."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests, self.large_files = [], {}
        self.repositories = {}  # name -> {"private": bool, "commits": [(id, summary, {path: (bytes, etag)})]}

    def create(self, name, private):
        self.repositories[name] = {"private": private, "commits": [("0" * 40, "initial commit", {})]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def handle_request(self):
        hub = self.server
        hub.requests.append(f"{self.command} {self.path}")
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token == "hf_unreachable":
            self.close_connection = True
        elif self.path.startswith("/lfs/"):  # a signed URL, which takes no token
            self.store_large_file(self.path.removeprefix("/lfs/"))
        elif token not in ("hf_test", "hf_reader"):
            self.answer(401, {"error": "Invalid username or password."})
        elif self.command == "POST" and token == "hf_reader":
            self.answer(403, {"error": 'You have no rights to write under the\nnamespace "user"'})
        else:
            for pattern, method in self.routes.items():
                if match := re.fullmatch(pattern, f"{self.command} {self.path}"):
                    return method(self, *match.groups())
            self.answer(404, {"error": "Not found"}, {"X-Error-Code": "EntryNotFound"})

    do_GET = do_HEAD = do_POST = do_PUT = handle_request

    def answer(self, status, content=b"", headers=None):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def create_repository(self):
        wanted = json.loads(self.body)
        name = f"{wanted['organization']}/{wanted['name']}"
        url = {"url": f"{self.server.url}/{name}"}
        if name in self.server.repositories:
            return self.answer(409, url | {"error": "You already created this model repo"})
        self.server.create(name, wanted.get("visibility") == "private")
        self.answer(200, url)

    def validate_card(self):
        bad = "license: no-such-licence" in json.loads(self.body)["content"]
        errors = [{"message": '"license" must be one of\n[apache-2.0, mit, ...]'}] if bad else []
        self.answer(400 if bad else 200, {"errors": errors, "warnings": []})

    def preupload(self, repository):
        files = json.loads(self.body)["files"]
        modes = ("lfs" if file["path"].endswith((".safetensors", ".png")) else "regular" for file in files)
        modes = [
            {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}
            for file, mode in zip(files, modes, strict=True)
        ]
        self.answer(200, {"files": modes})

    def large_file_batch(self, repository):
        objects = json.loads(self.body)["objects"]
        for wanted in objects:
            wanted["actions"] = {"upload": {"href": f"{self.server.url}/lfs/{wanted['oid']}"}}
        self.answer(200, {"transfer": "basic", "objects": objects})

    def store_large_file(self, oid):
        intact = hashlib.sha256(self.body).hexdigest() == oid
        if intact:
            self.server.large_files[oid] = self.body
        self.answer(200 if intact else 400)

    def commit(self, repository):
        files, header, deleted = {}, None, set()
        for line in self.body.splitlines():
            key, value = json.loads(line).values()
            if key == "header":
                header = value
            elif key == "deletedFile":
                deleted.add(value["path"])
            elif key == "file":
                content = base64.b64decode(value["content"])
                files[value["path"]] = (content, hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest())
            else:
                assert key == "lfsFile"
                files[value["path"]] = (self.server.large_files[value["oid"]], value["oid"])
        commits = self.server.repositories[repository]["commits"]
        commit = hashlib.sha1(self.body).hexdigest()
        kept = {path: content for path, content in commits[-1][2].items() if path not in deleted}
        commits.append((commit, header["summary"], kept | files))
        self.answer(200, {"commitUrl": f"{self.server.url}/{repository}/commit/{commit}", "commitOid": commit})

    def model_info(self, repository):
        if repository not in self.server.repositories:
            return self.answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        state = self.server.repositories[repository]
        commit, _, files = state["commits"][-1]
        siblings = [{"rfilename": path} for path in files]
        self.answer(200, {"id": repository, "sha": commit, "private": state["private"], "siblings": siblings})

    def resolve(self, repository, revision, path):
        commit, _, files = self.server.repositories[repository]["commits"][-1]
        assert revision in ("main", commit)
        if path not in files:
            return self.answer(404, headers={"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        content, etag = files[path]
        self.answer(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": commit})

    routes = {
        "POST /api/repos/create": create_repository,
        "POST /api/validate-yaml": validate_card,
        "POST /api/models/(.+)/preupload/main": preupload,
        "POST /(.+)[.]git/info/lfs/objects/batch": large_file_batch,
        "POST /api/models/(.+)/commit/main": commit,
        "GET /api/models/([^/?]+/[^/?]+)": model_info,
        "(?:GET|HEAD) /([^/]+/[^/]+)/resolve/([^/]+)/(.+)": resolve,
    }


@pytest.fixture
def hub():
    with Hub() as hub:
        thread = Thread(target=hub.serve_forever, args=(0.01,))
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()


@pytest.fixture
def folder(orderer_folder):
    """The orderer's folder as training and evaluation leave it, and with a card."""
    (orderer_folder / "README.md").write_text(CARD)
    for name in (EXPECTED | LEFT_OUT) - {path.name for path in orderer_folder.iterdir()}:
        (orderer_folder / name).parent.mkdir(exist_ok=True)
        (orderer_folder / name).write_text(f"content of {name}")
    (orderer_folder / "trainer_state.json").write_text(json.dumps(STATE))
    return orderer_folder


@pytest.fixture
def run(python_with_torch, tmp_path):
    """Runs Python in a process of its own, for which the Hub is ours."""

    def run(hub, *command, **variables):
        environment = {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
            "OMP_NUM_THREADS": "1",
        }
        return subprocess.run(
            [python_with_torch, *map(str, command)],
            env=environment | variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    return run


@pytest.fixture
def refuse(monkeypatch, tmp_path):
    """Runs the program without a token, and returns the one line with which it ends."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "token"))

    def refuse(*arguments):
        with pytest.raises(SystemExit) as exit_:
            commands.main(["publish", *map(str, arguments)])
        assert isinstance(exit_.value.code, str)  # Python prints it on standard error, and exits with status 1.
        assert "\n" not in exit_.value.code
        return exit_.value.code

    return refuse


def test_what_is_published_loads_on_machines_without_the_package(hub, folder, run, model, tokenizer, without_package):
    script = REPOSITORY / "scripts" / "publish.py"
    published = run(hub, script, folder, "--repo", "user/orderer", "--private", HF_TOKEN="hf_test")
    assert published.returncode == 0, published.stderr
    repository = hub.repositories["user/orderer"]
    [_, (commit, summary, files)] = repository["commits"]
    assert repository["private"]
    assert summary.startswith("Publish with sentence-ordering ")
    assert published.stdout.splitlines()[-1] == f"{hub.url}/user/orderer/commit/{commit}"
    sent = {path: content for path, (content, _) in files.items()}
    assert json.loads(sent.pop("trainer_state.json")) == {"best_model_checkpoint": "checkpoint-2", "global_step": 4}
    assert json.loads((folder / "trainer_state.json").read_text()) == STATE
    assert sent == {path: (folder / path).read_bytes() for path in EXPECTED - {"trainer_state.json"}}

    shutil.rmtree(folder)
    rows = encode_documents([DOCUMENT], tokenizer, model.config)
    loaded = run(hub, "-c", without_package + LOAD, json.dumps(["user/orderer", rows, DOCUMENT]), HF_TOKEN="hf_test")
    assert loaded.returncode == 0, loaded.stderr[-3000:]
    result = json.loads(loaded.stdout)
    expected = pipeline("sentence-ordering", model=model, tokenizer=tokenizer)(DOCUMENT)
    assert result["module"].startswith("transformers_modules.user.orderer.")
    assert result["answer"]["order"] == expected["order"]
    assert result["answer"]["scores"] == pytest.approx(expected["scores"], abs=1e-6)
    in_input_order = [expected["scores"][place] for place in expected["positions"]]
    assert result["logits"][0] == pytest.approx(in_input_order, abs=1e-6)


def test_refusals_of_the_hub_are_one_line_each(hub, folder, run, tmp_path):
    hub.create("user/public", private=False)
    bad_card = shutil.copytree(folder, tmp_path / "bad card")
    (bad_card / "README.md").write_text(CARD.replace("---\n\n", "license: no-such-licence\n---\n\n"))
    cases = [
        ("hf_unknown", folder, "user/orderer", [], "The Hub does not know the token (401)."),
        ("hf_reader", folder, "user/orderer", [], "The token may not write to user/orderer (403): You have no rights"),
        ("hf_reader", folder, "user/public", [], "The token may not write to user/public (403): You have no rights"),
        ("hf_unreachable", folder, "user/orderer", [], "Publishing to user/orderer failed: Server disconnected"),
        ("hf_test", bad_card, "user/orderer", [], "Publishing to user/orderer failed: Invalid metadata in README.md."),
        ("hf_test", folder, "user/public", ["--private"], "user/public exists and is public."),
    ]
    calls = [(token, str(folder), "--repo", name, *options) for token, folder, name, options, _ in cases]
    result = run(hub, "-c", PUBLISH_AS, json.dumps(calls))
    lines = result.stderr.splitlines()
    assert result.returncode == 0, result.stderr
    for line, (*_, expected) in zip(lines, cases, strict=True):
        assert line.startswith(expected)
    assert all(len(repository["commits"]) == 1 for repository in hub.repositories.values())
    assert not hub.repositories["user/orderer"]["private"]


def test_dry_run_lists_the_files_and_sends_nothing(hub, folder, run):
    (folder / "LICENSE").write_bytes(b"x" * 1234)
    (folder / "tokenizer.json").write_bytes(b"x" * 999_960)
    dry = run(hub, REPOSITORY / "scripts" / "publish.py", folder, "--repo", "user/orderer", "--dry_run")
    assert dry.returncode == 0, dry.stderr
    assert hub.requests == []
    *files, total, left_out, verdict = dry.stdout.splitlines()
    listed = dict(reversed(line.strip().split("  ")) for line in files)
    assert listed.keys() == EXPECTED | {"LICENSE"}
    assert listed["LICENSE"] == "1.2 kB"
    assert listed["metrics.json"] == f"{len('content of metrics.json')} B"
    assert listed["tokenizer.json"] == "1.0 MB"
    assert listed["trainer_state.json"] == "66 B"
    size = 66 + sum((folder / path).stat().st_size for path in listed if path != "trainer_state.json")
    assert total.strip() == f"{size / 1e6:.1f} MB  in {len(listed)} files"
    assert left_out == "Left out: " + ", ".join(sorted({path.split("/")[0] for path in LEFT_OUT}))
    assert verdict == "The card's structure is right. This was a dry run: nothing was sent."


def test_old_spelling_of_an_option_is_taken_and_not_shown(folder, capsys):
    commands.main(["publish", str(folder), "--repo", "user/orderer", "--dry-run"])
    assert "nothing was sent" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        commands.main(["publish", "--help"])
    help_ = capsys.readouterr().out
    assert "--dry_run" in help_
    assert "--dry-run" not in help_


def test_space_is_laid_out_for_the_repository_when_that_is_there(folder, tmp_path, capsys, monkeypatch):
    pytest.importorskip("gradio")
    space = tmp_path / "space"
    options = ["publish", str(folder), "--repo", "user/orderer", "--space", str(space)]
    commands.main([*options, "--dry_run"])
    assert not space.exists()
    monkeypatch.setattr("sentence_ordering.commands.publish.upload", lambda *args, **kwargs: "sent")
    commands.main(options)
    assert "open_page(['user/orderer'], any_model=False)" in (space / "app.py").read_text()
    *_, sent, told = capsys.readouterr().out.splitlines()
    assert (sent, told.startswith(f"The Space is in {space}.")) == ("sent", True)
    with pytest.raises(SystemExit, match="exists. Name a new folder for the Space"):
        commands.main([*options, "--dry_run"])
    with pytest.raises(SystemExit, match="There is no folder '.*absent' to lay it out in"):
        commands.main([*options[:-1], str(tmp_path / "absent" / "space"), "--dry_run"])


def test_state_that_cannot_be_cleaned_is_left_out(folder, capsys):
    (folder / "trainer_state.json").write_text("[1]")
    commands.main(["publish", str(folder), "--repo", "user/orderer", "--dry_run"])
    [left_out] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Left out: ")]
    assert "trainer_state.json" in left_out.split(", ")


def test_required_code_is_what_every_save_writes(orderer_folder):
    required = {name for name in publish_files.REQUIRED if name.endswith(".py")}
    assert required == {path.name for path in orderer_folder.glob("*.py")}


def test_help_shows_the_command_to_run(capsys):
    with pytest.raises(SystemExit) as exit_:
        commands.main(["publish", "--help"])
    assert exit_.value.code == 0
    assert "    sentence-ordering publish output/quickstart " in capsys.readouterr().out


class TestRefusesBeforeAnythingIsSent:
    def test_no_folder(self, refuse, tmp_path):
        line = refuse(tmp_path / "missing", "--repo", "user/orderer")
        assert line == f"{tmp_path / 'missing'} is no folder. Name the folder of a saved orderer."

    @pytest.mark.parametrize("name", ["model.safetensors", *publish_files.REQUIRED])
    def test_missing_file(self, name, refuse, folder):
        (folder / name).unlink()
        line = refuse(folder, "--repo", "user/orderer")
        assert line == f"{folder} lacks {name}, without which an orderer is not published."

    @pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", None])
    def test_weights_that_cannot_be_read(self, content, refuse, folder):
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-8] if content is None else content)
        assert "model.safetensors cannot be read" in refuse(folder, "--repo", "user/orderer", "--dry_run")

    def test_missing_shard_and_tokenizer(self, refuse, folder):
        shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
        index = {"weight_map": {"a": shards[0], "b": shards[1], "c": shards[0]}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        (folder / "model.safetensors").rename(folder / shards[0])
        (folder / "tokenizer_config.json").unlink()
        assert f"lacks tokenizer_config.json, {shards[1]}, without" in refuse(folder, "--repo", "user/orderer")
        shutil.copy(folder / shards[0], folder / shards[1])
        (folder / "tokenizer_config.json").touch()
        assert {*shards, "model.safetensors.index.json"} < set(publish_files.choose_files(folder))

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ("{", "is not JSON"),
            ("[]", "holds no JSON object"),
            ('{"auto_map": {"AutoModel": "x.Y"}}', "lacks custom_pipelines, without which the code is not found"),
            ("{}", "lacks auto_map and custom_pipelines, without which the code is not found"),
        ],
    )
    def test_unusable_config(self, config, message, refuse, folder):
        (folder / "config.json").write_text(config)
        assert f"{folder / 'config.json'} {message}" in refuse(folder, "--repo", "user/orderer")

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("orderer", "names no owner. Write it like user/name."),
            ("user/my orderer", "is no name of a repository, like user/name: Repo id must use alphanumeric"),
            ("user/models/orderer", "is no name of a repository, like user/name: Repo id must be in the form"),
            ("user/a--b", "is no name of a repository, like user/name: Cannot have -- or .."),
        ],
    )
    def test_invalid_repository_name(self, name, message, refuse, folder):
        assert refuse(folder, "--repo", name, "--dry_run").startswith(f"--repo {name} {message}")

    @pytest.mark.parametrize("name", ["LICENSE", "trainer_state.json", "config.json", "plots"])
    def test_link_out_of_the_folder(self, name, refuse, folder, tmp_path):
        outside = tmp_path / "outside"
        if (folder / name).exists():
            (folder / name).rename(outside)
        else:
            outside.write_text("machine example.org password secret")
        (folder / name).symlink_to(outside)
        line = refuse(folder, "--repo", "user/orderer")
        assert line.startswith(f"{folder / name}")
        assert f" is a link to {outside}" in line

    @pytest.mark.parametrize("name", ["README.md", "config.json", "curve.svg", "metrics.json", "trainer_state.json"])
    def test_token_in_a_file(self, name, refuse, folder):
        text = (folder / name).read_text()
        if name == "config.json" or name == "trainer_state.json":
            text = json.dumps(json.loads(text) | {"note": TOKEN}, indent=1)
        else:
            text += f"\n{TOKEN}"
        (folder / name).write_text(text)
        line = refuse(folder, "--repo", "user/orderer")
        assert line.startswith(f"{folder / name}, line ")
        assert line.endswith("holds what looks like a token of the Hub. Revoke it and take it out; nothing was sent.")

    def test_no_token(self, refuse, folder):
        line = refuse(folder, "--repo", "user/orderer")
        assert line == "There is no token of the Hub. Log in with `hf auth login`, or set HF_TOKEN."

    def test_offline(self, refuse, folder, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_test")
        line = refuse(folder, "--repo", "user/orderer")
        assert line.startswith("Publishing to user/orderer failed: Cannot reach ")


class TestCard:
    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("---\n", "", "does not begin with metadata, which is YAML between two lines of `---`."),
            ("library_name: transformers", "- x", "has metadata that cannot be read: repo card metadata block should"),
            ("library_name: transformers", "a: b: c", "has metadata that cannot be read: mapping values are not"),
            ("library_name: transformers", "1: 2", "has metadata that cannot be read: "),
            ("library_name: transformers", "model-index: 3", "has metadata that cannot be read: Invalid `model_index`"),
            ("library_name: transformers\n", "", "the metadata lacks `library_name: transformers`."),
            ("transformers", "timm", "the metadata lacks `library_name: transformers`."),
            ("tags:\n- sentence-ordering\n", "", "the metadata lacks sentence-ordering in the list `tags`."),
            ("tags:\n- sentence-ordering", "tags: sentence-ordering", "the metadata lacks sentence-ordering in the"),
            ("tags:", "pipeline_tag: sentence-ordering\ntags:", "`pipeline_tag: sentence-ordering` is none of the"),
        ],
    )
    def test_fault_is_named(self, old, new, message, refuse, folder):
        card = CARD.replace("tags:\n- sentence-ordering\n", "") if new == "- x" else CARD
        (folder / "README.md").write_text(card.replace(old, new))
        line = refuse(folder, "--repo", "user/orderer", "--dry_run")
        assert re.match(f"{re.escape(str(folder / 'README.md'))}:? {re.escape(message)}", line)

    def test_all_faults_are_named_at_once(self, refuse, folder):
        (folder / "README.md").write_text("---\nlicense: mit\n---\n\n")
        line = refuse(folder, "--repo", "user/orderer", "--dry_run")
        assert "`library_name: transformers`; " in line
        assert "`tags`; there is no text below the metadata." in line

    @pytest.mark.parametrize("target", ["missing.png", "../other.png", "PARENT/other.png", "training_args.bin"])
    def test_image_that_cannot_be_published(self, target, refuse, folder):
        target = target.replace("PARENT", str(folder.parent))
        (folder / "README.md").write_text(f"{CARD}![x]({target} 'title')")
        (folder.parent / "other.png").touch()
        line = refuse(folder, "--repo", "user/orderer", "--dry_run")
        assert line == f"{folder / 'README.md'} shows {target}, which is no image in {folder}."

    def test_rich_card_is_accepted(self, folder, capsys):
        metadata = """pipeline_tag: text-ranking
model-index:
- name: an orderer
  results:
  - task: {type: sentence-ordering}
    dataset: {name: stories, type: stories}
    metrics:
    - {type: kendall_tau, value: 0.5}
tags:"""
        (folder / "README.md").write_text(CARD.replace("tags:", metadata), newline="\r\n")
        commands.main(["publish", str(folder), "--repo", "user/orderer", "--dry_run"])
        assert "nothing was sent" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("published", "stale"),
    [
        (
            {"model.safetensors"},
            {*publish_files.ADAPTER, "model-00001-of-00002.safetensors", "model.safetensors.index.json"},
        ),
        (
            {*publish_files.ADAPTER},
            {"model.safetensors", "model-00001-of-00002.safetensors", "model.safetensors.index.json"},
        ),
    ],
)
def test_weights_that_would_be_loaded_instead_are_stale(published, stale):
    others = {"README.md", "config.json", "onnx/model.onnx", "tokenizer.json"}
    assert set(publish_upload.stale_weights(others | published | stale, {"README.md"} | published)) == stale


def test_an_adapter_of_before_goes_when_whole_weights_are_published(hub, folder, run):
    hub.create("user/orderer", private=False)
    hub.repositories["user/orderer"]["commits"][0][2].update({name: (b"old", "0") for name in publish_files.ADAPTER})
    published = run(hub, REPOSITORY / "scripts" / "publish.py", folder, "--repo", "user/orderer", HF_TOKEN="hf_test")
    assert published.returncode == 0, published.stderr
    assert set(hub.repositories["user/orderer"]["commits"][-1][2]) == EXPECTED


class TestAdapter:
    def test_that_is_not_of_the_weights_beside_it_is_refused(self, folder, refuse, monkeypatch):
        def refuse_adapter(name, hub_kwargs):
            raise ValueError(f"The adapter of {name} does not make the weights beside it")

        pytest.importorskip("peft")
        monkeypatch.setattr("sentence_ordering.training.lora.check_adapter", refuse_adapter)
        (folder / "adapter").mkdir(exist_ok=True)
        (folder / "adapter" / "adapter_config.json").write_text("{}")
        shutil.copy(folder / "model.safetensors", folder / "adapter" / "adapter_model.safetensors")
        assert "does not make the weights" in refuse(folder, "--repo", "user/name", "--adapter", "--dry_run")

    def test_goes_up_instead_of_the_weights(self, folder):
        (folder / "adapter").mkdir(exist_ok=True)
        (folder / "adapter" / "adapter_config.json").write_text("{}")
        shutil.copy(folder / "model.safetensors", folder / "adapter" / "adapter_model.safetensors")
        whole, light = publish_files.choose_files(folder), publish_files.choose_files(folder, adapter=True)
        assert not any(name.startswith("adapter/") for name in whole)
        assert set(light) - set(whole) == set(publish_files.ADAPTER)
        assert {name for name in set(whole) - set(light)} == {
            name for name in whole if name.endswith((".safetensors", ".safetensors.index.json"))
        }
        assert "model.safetensors" in whole

    def test_a_folder_without_one_is_refused(self, folder, refuse):
        assert "lacks adapter/adapter_config.json" in refuse(folder, "--repo", "user/name", "--adapter", "--dry_run")

    def test_that_of_a_local_encoder_is_refused(self, folder, refuse):
        (folder / "adapter").mkdir(exist_ok=True)
        (folder / "adapter" / "adapter_config.json").write_text('{"base_model_name_or_path": "/home/mia/encoder"}')
        shutil.copy(folder / "model.safetensors", folder / "adapter" / "adapter_model.safetensors")
        assert "adapter_config.json, line 1, holds what looks like a path" in refuse(
            folder, "--repo", "user/name", "--adapter", "--dry_run"
        )
