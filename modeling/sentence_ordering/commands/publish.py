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
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError
from pathlib import Path, PurePosixPath

from .leaks import check_contents
from .printing import one_line, print_text
from .publish_card import check_card
from .publish_files import choose_files, read_contents
from .publish_upload import upload


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
        sys.exit(one_line(error))


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
        sys.exit(f"--repo {repository} is no name of a repository, like user/name: {one_line(error)}")
    if "/" not in repository:
        sys.exit(f"--repo {repository} names no owner. Write it like user/name.")


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


def _format_size(size: float) -> str:
    if size < 1000:
        return f"{size} B"
    for unit in ("kB", "MB"):
        size /= 1000
        if size < 999.95:  # What would be printed as 1000.0 goes to the next unit.
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} GB"
