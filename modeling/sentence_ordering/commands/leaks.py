"""What must not leave this machine with an orderer: links out of its folder, local paths, user names, and tokens."""

from __future__ import annotations

import getpass
import json
import re
import sys
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

# Vocabularies come from texts that hold anything; they are searched for tokens and for paths of this machine only.
VOCABULARIES = ("tokenizer.json", "added_tokens.json", "vocab.*", "merges.txt", "bpe.codes", "*.model")

TOKENS = {
    "a token of the Hub": r"(?<!\w)(?:hf_|api_org_)[A-Za-z0-9]{20,}",
    "an API key": r"(?<![\w-])sk-(?=[\w-]*\d)[\w-]{20,}|(?<!\w)AIza[\w-]{35}",
    "an access key of AWS": r"(?<!\w)(?:AKIA|ASIA)[A-Z0-9]{16}(?!\w)|(?i:aws_secret_access_key)\W{1,6}[\w/+=]{30,}",
    "a token of GitHub or GitLab": r"(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,})",
    "a token of Slack": r"(?<!\w)xox[abeprs]-[\w-]{10,}",
    "an authorization header": r"(?i:\b(?:bearer|authorization\W{1,6}(?:basic|token)))\s+(?=[^\s\"']*\d)[\w.~+/=-]{8,}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a password in a URL": r"://[^/\s:@]+:[^/\s:@]+@",
}

# The start of an absolute path, which no URL's path is unless it is one of a file.
_ROOT = r"(?:(?<=file://)|(?<![\w.:/~-]))(?:[A-Za-z]:)?"
_SLASH, _NAME = r"(?:/|\\+)", r"[^/\\\s\"'`<>|:*?,;)\]}]+"
HOME = rf"{_ROOT}(?:{_SLASH}[\w.+-]+)*?{_SLASH}(?:(?:home|Users){_SLASH}{_NAME}|root{_SLASH}{_NAME})"
# A path as the value of a setting, like "_name_or_path" or "base_model_name_or_path" of JSON and YAML.
SETTING = (
    r"\b\w*(?:path|file|dir|folder|checkpoint)[\"']?\s*[:=]\s*[\"']?"
    rf"(?:~?/(?=[\w.+-])|\.\.?[/\\]|file://|[A-Za-z]:[/\\]){_NAME}"
)


def check_links(folder: Path, files: Iterable[str]) -> None:
    """End the process if one of the files lies outside the folder, but for a snapshot's in the Hub's cache.

    Args:
        folder: The folder.
        files: Paths in it, any part of which may be a link.
    """
    root = folder.resolve()
    roots = [root]
    if root.parent.name == "snapshots":  # <repository>/snapshots/<revision>/file -> ../../blobs/<hash>
        roots.append(root.parents[1] / "blobs")
    for file in files:
        target = (folder / file).resolve()
        if not any(target.is_relative_to(root) for root in roots):
            sys.exit(
                f"{folder / file} is a link to {target}, outside of the folder. Put a copy of the file in its place, "
                "or remove it. Nothing was sent."
            )


def clean_trainer_state(path: Path) -> bytes | None:
    """Copy the Trainer's state without the path of the folder in which it was trained.

    Args:
        path: The file `trainer_state.json`.

    Returns:
        The copy, in which `best_model_checkpoint` is a folder's name; None if the file is no JSON object.
    """
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    if not isinstance(state, dict):
        return None
    checkpoint = state.get("best_model_checkpoint")
    if checkpoint is not None:
        state["best_model_checkpoint"] = re.split(r"[/\\]", str(checkpoint).rstrip("/\\"))[-1]
    return (json.dumps(state, indent=2) + "\n").encode()


def check_contents(folder: Path, contents: Mapping[str, Path | bytes]) -> None:
    """End the process if a file tells a path or a user's name of this machine, or a token.

    Args:
        folder: The folder.
        contents: For each path in the folder what is sent: a file, or bytes.
    """
    everywhere = TOKENS | {"a path of this machine": _own_paths(folder)}
    in_text = everywhere | {"a path into a user's folder": HOME, "a local path": SETTING} | _user_in_path()
    for file, content in contents.items():
        text = _decode(content if isinstance(content, bytes) else _read(content))
        vocabulary = any(fnmatchcase(file, pattern) for pattern in VOCABULARIES)
        for what, pattern in (everywhere if vocabulary else in_text).items():
            if match := re.search(pattern, text):
                line = text.count("\n", 0, match.start()) + 1
                advice = "Revoke it and take it out" if what in TOKENS else "Take it out"
                sys.exit(f"{folder / file}, line {line}, holds what looks like {what}. {advice}; nothing was sent.")


def _own_paths(folder: Path) -> str:
    """Make a pattern of the user's home and the folder, also as JSON escapes them."""
    paths = {path for path in (Path.home(), folder.absolute(), folder.resolve()) if len(path.parts) > 1}
    spellings = {spelling for path in paths for spelling in (str(path), json.dumps(str(path))[1:-1], path.as_posix())}
    return rf"(?<![\w.])(?:{'|'.join(map(re.escape, sorted(spellings)))})(?![\w-])"


def _user_in_path() -> dict[str, str]:
    """Make a pattern of absolute paths with a folder of the user's name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # A container's user may have no name.
        return {}
    name = re.escape(user)
    return {"a path with your user name": rf"{_ROOT}(?:{_SLASH}[\w.+-]+)*?{_SLASH}{name}{_SLASH}"}


def _read(path: Path) -> bytes:
    """Read a file; of weights, whose numbers tell nothing, only the header."""
    with path.open("rb") as file:
        if path.suffix != ".safetensors":
            return file.read()
        return file.read(int.from_bytes(file.read(8), "little"))


def _decode(content: bytes) -> str:
    """Decode text; of other content what is ASCII in it."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    return content.decode("utf-8", errors="replace")
