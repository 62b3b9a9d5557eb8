"""Arguments of the programs: dataclasses, one YAML file, and command-line overrides."""

from __future__ import annotations

import json
import sys
from argparse import Action, ArgumentDefaultsHelpFormatter, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import yaml
from transformers import HfArgumentParser


class _HelpFormatter(ArgumentDefaultsHelpFormatter, RawDescriptionHelpFormatter):
    """Shows defaults, leaves the line breaks of the description alone, and shows one spelling of each option."""

    def _format_action_invocation(self, action: Action) -> str:
        underscored = [name for name in action.option_strings if "-" not in name.lstrip("-")]
        shown = copy(action)
        shown.option_strings = underscored or action.option_strings
        return super()._format_action_invocation(shown)


def parse_arguments(
    types: Sequence[Any],
    argv: Sequence[str] | None,
    program: str,
    description: str | None,
    defaults: Mapping[str, Any] | None = None,
) -> tuple[Any, ...]:
    """Parse arguments into dataclasses.

    Args:
        types: The dataclasses, whose fields are the options.
        argv: An optional YAML file of options first, then options, which override those of the file; by default the
            process's arguments.
        program: The program's name, for its help.
        description: What the program does, for its help.
        defaults: Options of the program's own, which file and command line override.

    Returns:
        An instance of each dataclass. Errors end the process with one line that says what is wrong.
    """
    parser = HfArgumentParser(
        types,
        prog=f"sentence-ordering {program}",
        description=description,
        allow_abbrev=False,
        formatter_class=_HelpFormatter,
    )
    parser.usage = "%(prog)s [FILE.yaml] [--option VALUE ...]"
    options = list(sys.argv[1:] if argv is None else argv)
    if options and not options[0].startswith("-"):
        path = options.pop(0)
        if not path.endswith((".yaml", ".yml")):
            parser.error(f"{path} is no file of options (.yaml). What to read is named by an option; --help lists them")
        try:
            with open(path, encoding="utf-8") as file:
                settings = yaml.safe_load(file)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            parser.error(f"cannot read {path}: {error}")
        if not isinstance(settings, Mapping):
            parser.error(f"{path} holds no options: expected lines like `learning_rate: 1e-4`")
        options = _as_options(settings) + options
    try:
        *parsed, unknown = parser.parse_args_into_dataclasses(
            _as_options(defaults or {}) + options, return_remaining_strings=True
        )
    except (ImportError, ValueError) as error:  # Options that do not go together, or not with this machine.
        sys.exit(str(error))
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return tuple(parsed)


def _as_options(settings: Mapping[str, Any]) -> list[str]:
    """Write the settings of a YAML file as command-line options; null leaves an option at its default."""
    options: list[str] = []
    for name, value in settings.items():
        if value is None:
            continue
        values = value if isinstance(value, list) else [value]
        options += [f"--{name}", *(json.dumps(v) if isinstance(v, dict) else str(v) for v in values)]
    return options
