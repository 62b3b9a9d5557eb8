"""Names of a package that are imported when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def import_when_asked(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the `__getattr__` of a package (PEP 562) that imports a name's module when the name is asked for.

    Args:
        package: The package's `__name__`.
        modules: For each name its module, relative to the package.

    Returns:
        The function, which raises AttributeError for any other name.

    Example:
        >>> __getattr__ = import_when_asked(__name__, {"prepare_dataset": "preparation"})
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f".{modules[name]}", package), name)

    return get
