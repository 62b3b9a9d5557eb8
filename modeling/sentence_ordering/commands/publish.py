"""Upload a saved orderer to the Hugging Face Hub, as one commit.

    sentence-ordering publish output/quickstart --repo user/name --dry_run
    sentence-ordering publish output/quickstart --repo user/name --private
    sentence-ordering publish output/quickstart --repo user/name --space output/space

What goes up is the model, its code and tokenizer, the metrics, and the model card README.md with the images that it
shows; checkpoints, optimizer states, logs and pickles stay here. Nothing goes up if one of these files lies outside the
folder, or holds a local path, a user's name in a path, or a token. A dry run lists the files, checks them and sends
nothing. A real run needs a token that may write: `hf auth login`, or the variable HF_TOKEN.

With --space, a folder for a Space is laid out after the upload: a page on which everybody may try the orderer.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from .leaks import check_contents, check_links, clean_trainer_state
from .printing import print_text

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

# The code that every save of this version writes.
CODE = sorted(path.name for path in Path(__file__).parents[1].glob("model/*.py") if path.stem != "__init__")
REQUIRED = (
    "config.json",
    *CODE,
    "tokenizer_config.json",
    "README.md",
)
WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
ADAPTER = ("adapter/adapter_config.json", "adapter/adapter_model.safetensors")
PUBLISHED = (
    *REQUIRED,
    "*.safetensors",
    WEIGHTS_INDEX,
    "*_sentence_ordering.py",
    # Files of tokenizers; no *.model, which may as well be a pickle.
    *("tokenizer.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja"),
    *("vocab.txt", "vocab.json", "merges.txt", "bpe.codes"),
    *("sentencepiece.bpe.model", "spiece.model", "spm.model", "tokenizer.model"),
    *("*_results.json", "metrics.json"),
    *("LICENSE*", "NOTICE*"),
)
TRAINER_STATE = "trainer_state.json"  # Goes up as a cleaned copy.
IMAGE = re.compile(r"""!\[[^\]]*\]\(\s*<?([^)>\s]+)|<img\b[^>]*?\bsrc=["']([^"']+)""", re.IGNORECASE)
IMAGE_SUFFIXES = (".gif", ".jpeg", ".jpg", ".png", ".svg", ".webp")

# The Hub's tasks for text; it ignores other values of a card's `pipeline_tag`, and has none for sentence ordering.
PIPELINE_TAGS = (
    "feature-extraction",
    "fill-mask",
    "question-answering",
    "sentence-similarity",
    "summarization",
    "table-question-answering",
    "text-classification",
    "text-generation",
    "text-ranking",
    "token-classification",
    "translation",
    "zero-shot-classification",
)


def main(argv: list[str] | None = None) -> None:
    """Check the folder of a saved orderer, list what belongs to it, and upload that.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    parser = argparse.ArgumentParser(
        prog="sentence-ordering publish",
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of the saved orderer, with its README.md")
    parser.add_argument("--repo", required=True, metavar="USER/NAME", help="repository; created if there is none")
    parser.add_argument(
        "--adapter", action="store_true", help="send the adapter (see `train --lora_rank`) instead of the weights"
    )
    parser.add_argument("--private", action="store_true", help="make the repository private; an old one must be so")
    parser.add_argument(
        "--space", type=Path, metavar="FOLDER", help="also lay out a Space for the orderer in this new folder"
    )
    parser.add_argument("--dry_run", action="store_true", help="list and check the files, send nothing")
    parser.add_argument("--dry-run", action="store_true", dest="dry_run", help=argparse.SUPPRESS)  # its old spelling
    args = parser.parse_args(argv)

    check_repository_name(args.repo)
    files = choose_files(args.folder, adapter=args.adapter)
    check_card(args.folder / "README.md")
    contents = read_contents(args.folder, files)
    check_contents(args.folder, contents)
    if args.adapter:
        refuse_other_weights(args.folder)
    if args.space is not None:
        lay_out(args.space, args.repo, dry_run=True)
    print_text(format_files(args.folder, contents) + "\n")
    if args.dry_run:
        print_text("The card's structure is right. This was a dry run: nothing was sent.\n")
        return
    print_text(upload(contents, args.repo, private=args.private) + "\n")
    if args.space is not None:
        print_text(lay_out(args.space, args.repo) + "\n")


def refuse_other_weights(folder: Path) -> None:
    """End the process if a folder's adapter is not that of its whole weights, which card and figures are of."""
    from ..training.lora import check_adapter

    try:
        check_adapter(folder, {})
    except (OSError, ValueError) as error:
        sys.exit(_one_line(error))


def lay_out(space: Path, repository: str, *, dry_run: bool = False) -> str:
    """Lay out the folder of a Space that shows the orderer of a repository; end the process if that cannot be done.

    Args:
        space: The folder, which is made.
        repository: The repository, like user/name.
        dry_run: Whether only to check that it can be done.

    Returns:
        A line that says how to upload it.
    """
    from ..app.space import check_space, lay_out_space

    try:
        check_space(space) if dry_run else lay_out_space(space, repository)
    except PackageNotFoundError as error:
        sys.exit(f"A Space needs {error.name}: `pip install 'sentence-ordering[app]'`.")
    except OSError as error:
        sys.exit(f"The Space cannot be laid out: {error}")
    return f"The Space is in {space}. Send it with `hf upload {repository}-page {space} --repo-type space`."


def check_repository_name(repository: str) -> None:
    """End the process if the name cannot be that of a repository."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        sys.exit(f"--repo {repository} is no name of a repository, like user/name: {_one_line(error)}")
    if "/" not in repository:
        sys.exit(f"--repo {repository} names no owner. Write it like user/name.")


def choose_files(folder: Path, *, adapter: bool = False) -> list[str]:
    """List the files of an orderer's folder that are published as they are; end the process if something is missing.

    Args:
        folder: The folder of a saved orderer.
        adapter: Whether to publish the adapter, which is loaded onto its encoder, instead of whole weights.

    Returns:
        Their paths in the folder, sorted, with `/` between the parts.
    """
    if not folder.is_dir():
        sys.exit(f"{folder} is no folder. Name the folder of a saved orderer.")
    names = (path.name for path in folder.iterdir() if path.is_file())
    chosen = {name for name in names if any(fnmatchcase(name, pattern) for pattern in PUBLISHED)}
    weights = [WEIGHTS]
    if WEIGHTS_INDEX in chosen:
        weights = sorted(set(_read_json(folder / WEIGHTS_INDEX).get("weight_map", {}).values()))
    if adapter:
        chosen = {name for name in chosen if name != WEIGHTS_INDEX and not name.endswith(".safetensors")}
        weights = [*ADAPTER]
        chosen.update(name for name in weights if (folder / name).is_file())
    missing = [name for name in (*REQUIRED, *weights) if name not in chosen]
    if missing:
        sys.exit(f"{folder} lacks {', '.join(missing)}, without which an orderer is not published.")
    config = _read_json(folder / "config.json")
    missing = [key for key in ("auto_map", "custom_pipelines") if not config.get(key)]
    if missing:
        sys.exit(
            f"{folder / 'config.json'} lacks {' and '.join(missing)}, without which the code is not found. Load the "
            "orderer and save it again with this version."
        )
    files = sorted(chosen | set(_shown_images(folder)))
    check_links(folder, files)
    for name in files:
        if name.endswith(".safetensors"):
            _check_weights(folder / name)
    return files


def _check_weights(path: Path) -> None:
    """End the process if a file of weights is damaged: then its header and its length do not fit each other."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            pass
    except (OSError, SafetensorError) as error:
        sys.exit(
            f"{path} cannot be read ({error}). It is damaged, or a pointer in a Git clone, in whose place `git lfs "
            "pull` puts the weights. Nothing was sent."
        )


def read_contents(folder: Path, files: Iterable[str]) -> dict[str, Path | bytes]:
    """Take what is sent: files as they are, and a copy of the Trainer's state from which local paths are taken out.

    Args:
        folder: The folder of a saved orderer.
        files: Paths in it.

    Returns:
        A file or bytes for each path, sorted. A state that is no JSON object is left out.
    """
    contents: dict[str, Path | bytes] = {file: folder / file for file in files}
    if (folder / TRAINER_STATE).is_file():
        check_links(folder, [TRAINER_STATE])
        state = clean_trainer_state(folder / TRAINER_STATE)
        if state is not None:
            contents[TRAINER_STATE] = state
    return dict(sorted(contents.items()))


def _shown_images(folder: Path) -> Iterator[str]:
    """List the images in the folder that the card shows; end the process if one is not there."""
    for match in IMAGE.finditer((folder / "README.md").read_text(encoding="utf-8", errors="replace")):
        target = match[1] or match[2]
        if re.match(r"[a-z]+:|//", target, re.IGNORECASE):  # on the web
            continue
        path = PurePosixPath(unquote(re.split("[?#]", target)[0]))
        inside = not path.is_absolute() and ".." not in path.parts and path.suffix.lower() in IMAGE_SUFFIXES
        if not inside or not (folder / path).is_file():
            sys.exit(f"{folder / 'README.md'} shows {target}, which is no image in {folder}.")
        yield str(path)


def check_card(path: Path) -> None:
    """End the process if a model card is not structured as the Hub and the users of an orderer need it.

    The Hub's own check is a request to it, which the upload makes.

    Args:
        path: The card.
    """
    import yaml
    from huggingface_hub import ModelCard
    from huggingface_hub.repocard import metadata_load

    try:
        metadata = metadata_load(path)
        if metadata is None:
            sys.exit(f"{path} does not begin with metadata, which is YAML between two lines of `---`.")
        card = ModelCard.load(path)
    except (TypeError, ValueError, yaml.YAMLError) as error:
        sys.exit(f"{path} has metadata that cannot be read: {_one_line(error)}")
    faults = list(_card_faults(metadata, card.text))
    if faults:
        sys.exit(f"{path}: {'; '.join(faults)}.")


def _card_faults(metadata: dict[str, Any], body: str) -> Iterator[str]:
    if metadata.get("library_name") != "transformers":
        yield "the metadata lacks `library_name: transformers`"
    tags = metadata.get("tags")
    if not isinstance(tags, list) or "sentence-ordering" not in tags:
        yield "the metadata lacks sentence-ordering in the list `tags`"
    tag = metadata.get("pipeline_tag")
    if tag is not None and tag not in PIPELINE_TAGS:
        yield f"`pipeline_tag: {tag}` is none of the Hub's for text (leave it out, or take text-ranking)"
    if not body.strip():
        yield "there is no text below the metadata"


def format_files(folder: Path, contents: Mapping[str, Path | bytes]) -> str:
    """Format the list of files with their sizes, their sum, and what is left out of the upload.

    Args:
        folder: The folder.
        contents: A file or bytes for each path in it.

    Returns:
        The lines.
    """
    sizes = [len(content) if isinstance(content, bytes) else content.stat().st_size for content in contents.values()]
    lines = [f"{_format_size(size):>10}  {file}" for size, file in zip(sizes, contents, strict=True)]
    lines.append(f"{_format_size(sum(sizes)):>10}  in {len(contents)} files")
    used = {PurePosixPath(file).parts[0] for file in contents}
    left_out = sorted(path.name for path in folder.iterdir() if path.name not in used)
    if left_out:
        lines.append(f"Left out: {', '.join(left_out)}")
    return "\n".join(lines)


def upload(contents: Mapping[str, Path | bytes], repository: str, *, private: bool) -> str:
    """Create the repository if there is none, and commit the files to it.

    Args:
        contents: A file or bytes for each path in the repository.
        repository: The repository, like user/name.
        private: Whether it must be private.

    Returns:
        The URL of the commit. A refusal ends the process with one line that says why.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    from ..model.configuration_sentence_ordering import __version__

    api = HfApi(library_name="sentence-ordering", library_version=__version__)
    try:
        if get_token() is None:
            sys.exit("There is no token of the Hub. Log in with `hf auth login`, or set HF_TOKEN.")
        api.create_repo(repository, exist_ok=True, private=private or None)
        found = api.model_info(repository)
        if private and not found.private:
            sys.exit(f"{repository} exists and is public. Make it private in its settings, or leave out --private.")
        stale = stale_weights([file.rfilename for file in found.siblings or ()], contents)
        # Not upload_folder, which splits large folders into several commits.
        commit = api.create_commit(
            repository,
            [
                *(CommitOperationAdd(file, content) for file, content in contents.items()),
                *(CommitOperationDelete(file) for file in stale),
            ],
            commit_message=f"Publish with sentence-ordering {__version__}",
        )
    except HfHubHTTPError as error:
        sys.exit(_explain_refusal(error, repository))
    except (HTTPError, OSError, RuntimeError, ValueError) as error:  # network, files, storage, the Hub's card check
        sys.exit(f"Publishing to {repository} failed: {_one_line(error)}")
    return commit.commit_url


def stale_weights(present: Iterable[str], contents: Container[str]) -> list[str]:
    """List the weights in a repository that would be loaded instead of those that are published.

    Args:
        present: Paths in the repository.
        contents: Paths that are published.

    Returns:
        Adapters where whole weights go up, whole weights where an adapter does, shards of before.

    Example:
        >>> stale_weights(["README.md", *ADAPTER], {"README.md", "model.safetensors"})
        ['adapter/adapter_config.json', 'adapter/adapter_model.safetensors']
    """
    weights = [file for file in present if file in ADAPTER or fnmatchcase(file, "model*.safetensors*")]
    return [file for file in weights if file not in contents]


def _explain_refusal(error: HfHubHTTPError, repository: str) -> str:
    status = error.response.status_code
    if status == 401:
        return "The Hub does not know the token (401). Log in again with `hf auth login`, or set another HF_TOKEN."
    if status == 403:
        return f"The token may not write to {repository} (403): {_one_line(error.server_message or error)}"
    return f"The Hub refused to publish to {repository} ({status}): {_one_line(error.server_message or error)}"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        sys.exit(f"{path} is not JSON: {error}")
    if not isinstance(content, dict):
        sys.exit(f"{path} holds no JSON object.")
    return content


def _format_size(size: float) -> str:
    if size < 1000:
        return f"{size} B"
    for unit in ("kB", "MB"):
        size /= 1000
        if size < 999.95:  # What would be printed as 1000.0 goes to the next unit.
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} GB"


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
