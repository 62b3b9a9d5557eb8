"""Shows the sections `Example:` of docstrings as code: griffe knows only `Examples:`, and takes others for notes."""

from __future__ import annotations

from typing import Any

from griffe import Extension, Object


class Examples(Extension):
    """Gives the section the name that griffe knows."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Rename it in an object's docstring."""
        if obj.docstring is not None:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
