"""The one commit that `publish` makes on the Hub."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from .printing import one_line
from .publish_files import ADAPTER

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError


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
        sys.exit(f"Publishing to {repository} failed: {one_line(error)}")
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
        return f"The token may not write to {repository} (403): {one_line(error.server_message or error)}"
    return f"The Hub refused to publish to {repository} ({status}): {one_line(error.server_message or error)}"
