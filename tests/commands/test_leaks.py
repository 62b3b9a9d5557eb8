"""What `publish` refuses to send, by links, and by what files hold."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from sentence_ordering.commands import leaks

LETTERS = "aB3dE6gH9j"


@pytest.fixture(autouse=True)
def alice(monkeypatch, tmp_path):
    """The user of this machine, who is not the one that runs the tests."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "homes" / "alice")
    monkeypatch.setattr(leaks.getpass, "getuser", lambda: "alice")


def check(folder, name, content):
    leaks.check_contents(folder, {name: content.encode()})


SECRETS = [
    ("a token of the Hub", f"hf_{LETTERS * 3}"),
    ("a token of the Hub", f"api_org_{LETTERS * 3}"),
    ("an API key", f"sk-{LETTERS * 3}"),
    ("an API key", f"sk-proj-{LETTERS}_{LETTERS}"),
    ("an API key", "AIza" + (LETTERS * 4)[:35]),
    ("an access key of AWS", "AKIAIOSFODNN7EXAMPLE"),
    ("an access key of AWS", f'"aws_secret_access_key": "{LETTERS * 4}"'),
    ("a token of GitHub or GitLab", f"ghp_{LETTERS * 4}"),
    ("a token of GitHub or GitLab", f"glpat-{LETTERS * 2}"),
    ("a token of Slack", "xoxb-123456789012-abcdef"),
    ("an authorization header", "Authorization: Bearer abc123def456"),
    ("an authorization header", '"Authorization": "Basic YWxpY2U6c2VjcmV0MQ=="'),
    ("a private key", "-----BEGIN OPENSSH PRIVATE KEY-----"),
    ("a password in a URL", "git clone https://alice:secret@example.org/x.git"),
]


@pytest.mark.parametrize(("what", "secret"), SECRETS)
@pytest.mark.parametrize("name", ["README.md", "tokenizer.json"])
def test_token_is_refused_by_file_and_line(what, secret, name, tmp_path):
    with pytest.raises(SystemExit) as exit_:
        check(tmp_path, name, f"one\ntwo {secret} three\n")
    expected = f"{tmp_path / name}, line 2, holds what looks like {what}. Revoke it and take it out; nothing was sent."
    assert exit_.value.code == expected


@pytest.mark.parametrize(
    "text",
    [
        "trained on /home/bob/stories.jsonl",
        "see file:///home/bob/x",
        '{"data": "/home/bob"}',
        "/Users/bob/Desktop/x.csv",
        "/mnt/c/Users/bob/x",
        "/export/home/bob/x",
        "/root/project/x",
        r"C:\Users\bob\x",
        r'{"data": "C:\\Users\\bob\\x"}',
        "c:/Users/bob/x",
        "`/scratch/alice/run`",
        r"D:\data\alice\run",
        "OUT/checkpoint-3",
        "HOME/.cache/x",
        '"_name_or_path": "/data/models/bert"',
        '"base_model_name_or_path": "../bert"',
        '"base_model_name_or_path": "~/bert"',
        "train_file: /data/stories.jsonl",
        "output_dir='D:/runs/3'",
    ],
)
@pytest.mark.parametrize("name", ["README.md", "config.json", "code.py", "chat_template.jinja", "LICENSE"])
def test_local_path_is_refused(text, name, tmp_path):
    folder = tmp_path / "out"
    text = text.replace("OUT", str(folder)).replace("HOME", str(Path.home()))
    with pytest.raises(SystemExit, match=rf"{name}, line 2, holds .*path.* Take it out; nothing was sent."):
        check(folder, name, f"\n{text}\n")


@pytest.mark.parametrize(
    "text",
    [
        "#!/usr/bin/env python",
        "needs /usr/bin/make, /dev/null and /etc/hosts",
        "https://example.org/home/bob/page and http://example.org/Users/bob",
        "https://huggingface.co/alice/orderer",
        "by alice, on alice/orderer and data/alice/x",
        '"_name_or_path": "bert-base-uncased"',
        '"base_model_name_or_path": "alice/bert"',
        "output_dir: output/mine",
        "input/output and and/or",
        "Authorization: Bearer $HF_TOKEN",
        "Authorization: Bearer <your token>",
        "set hf_hub_download, hf_transfer, or HF_TOKEN=hf_...",
        "task-based risk-assessment-of-2024-documents-and-more",
        "write to alice@example.org: 5:3",
        "/m/0k4j is a label",
        "the home of /r/root and ~/.cache",
    ],
)
def test_what_is_no_leak_is_accepted(text, tmp_path):
    check(tmp_path / "out", "README.md", text)
    check(tmp_path / "out", "config.json", text)


def test_vocabularies_may_hold_paths_of_others(tmp_path):
    for name in ("tokenizer.json", "vocab.txt", "merges.txt", "spiece.model"):
        check(tmp_path / "out", name, "/home/bob /Users/bob/x /scratch/alice/x file: /etc/x")
        with pytest.raises(SystemExit, match="a path of this machine"):
            check(tmp_path / "out", name, str(tmp_path / "out" / "corpus.txt"))


def test_utf16_is_read(tmp_path):
    with pytest.raises(SystemExit, match="NOTICE, line 2, holds what looks like a path into a user's folder"):
        leaks.check_contents(tmp_path, {"NOTICE": "x\n/home/bob/y".encode("utf-16")})


def test_header_of_weights_is_read_and_their_numbers_are_not(tmp_path):
    numbers = np.frombuffer(b"/home/bob/x ", dtype=np.uint8)
    save_file({"a": numbers}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    leaks.check_contents(tmp_path, {"model.safetensors": tmp_path / "model.safetensors"})
    save_file({"a": numbers}, tmp_path / "model.safetensors", metadata={"source": "/home/bob/x"})
    with pytest.raises(SystemExit, match=r"model.safetensors, line 1, holds what looks like a path into"):
        leaks.check_contents(tmp_path, {"model.safetensors": tmp_path / "model.safetensors"})


def test_a_user_without_a_name_is_checked_too(monkeypatch, tmp_path):
    def getuser():
        raise KeyError("getpwuid(): uid not found: 1000")

    monkeypatch.setattr(leaks.getpass, "getuser", getuser)
    check(tmp_path, "README.md", "/scratch/alice/run")
    with pytest.raises(SystemExit, match="a path into a user's folder"):
        check(tmp_path, "README.md", "/home/bob/x")


class TestLinks:
    def test_within_the_folder_are_followed(self, tmp_path):
        folder = tmp_path / "out"
        folder.mkdir()
        (folder / "a").write_text("x")
        (folder / "LICENSE").symlink_to("a")
        (tmp_path / "latest").symlink_to(folder)
        leaks.check_links(tmp_path / "latest", ["a", "LICENSE"])

    @pytest.mark.parametrize("hops", [1, 2, 3])
    def test_chain_out_of_the_folder_is_refused_by_name(self, hops, tmp_path):
        folder = tmp_path / "out"
        folder.mkdir()
        target = tmp_path / ".netrc"
        target.write_text("secret")
        for hop in range(hops):
            (folder / f"hop{hop}").symlink_to(target if hop == 0 else f"hop{hop - 1}")
        message = f"{folder / f'hop{hops - 1}'} is a link to {target}, outside of the folder."
        with pytest.raises(SystemExit, match=re.escape(message)):
            leaks.check_links(folder, [f"hop{hops - 1}"])

    def test_folder_that_is_a_link_out_is_refused(self, tmp_path):
        (tmp_path / "pictures").mkdir()
        (tmp_path / "pictures" / "a.png").touch()
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "plots").symlink_to("../pictures")
        with pytest.raises(SystemExit, match=re.escape(str(tmp_path / "out" / "plots" / "a.png"))):
            leaks.check_links(tmp_path / "out", ["plots/a.png"])

    def test_neighbour_whose_name_begins_alike_is_outside(self, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out-secret").write_text("x")
        (tmp_path / "out" / "LICENSE").symlink_to("../out-secret")
        with pytest.raises(SystemExit, match="is a link to"):
            leaks.check_links(tmp_path / "out", ["LICENSE"])

    def test_snapshot_of_the_hubs_cache_is_followed_to_its_blobs_only(self, tmp_path):
        repository = tmp_path / "models--user--orderer"
        snapshot = repository / "snapshots" / "abc"
        (snapshot / "plots").mkdir(parents=True)
        (repository / "blobs").mkdir()
        (repository / "blobs" / "1f").write_text("x")
        (snapshot / "config.json").symlink_to("../../blobs/1f")
        (snapshot / "plots" / "a.png").symlink_to("../../../blobs/1f")
        leaks.check_links(snapshot, ["config.json", "plots/a.png"])
        (tmp_path / ".netrc").write_text("secret")
        (repository / "blobs" / "2e").symlink_to(tmp_path / ".netrc")
        (snapshot / "LICENSE").symlink_to("../../blobs/2e")
        with pytest.raises(SystemExit, match="LICENSE is a link to"):
            leaks.check_links(snapshot, ["LICENSE"])
        (snapshot / "NOTICE").symlink_to("../../refs")
        with pytest.raises(SystemExit, match="NOTICE is a link to"):
            leaks.check_links(snapshot, ["NOTICE"])


@pytest.mark.parametrize("path", ["/data/run/checkpoint-2", "checkpoint-2/", r"C:\Users\bob\run\checkpoint-2"])
def test_state_of_the_trainer_keeps_the_name_of_the_best_checkpoint(path, tmp_path):
    file = tmp_path / "trainer_state.json"
    file.write_text(json.dumps({"best_model_checkpoint": path, "log_history": [{"loss": 0.5}]}))
    cleaned = json.loads(leaks.clean_trainer_state(file))
    assert cleaned == {"best_model_checkpoint": "checkpoint-2", "log_history": [{"loss": 0.5}]}


@pytest.mark.parametrize("content", ["[]", "{", "\xff"])
def test_state_that_is_no_object_is_not_copied(content, tmp_path):
    (tmp_path / "trainer_state.json").write_text(content, encoding="latin-1")
    assert leaks.clean_trainer_state(tmp_path / "trainer_state.json") is None
