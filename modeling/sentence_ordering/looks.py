"""The looks of everything that people see: one palette for light and dark, and one font stack."""

from __future__ import annotations

from collections.abc import Mapping

FONTS = ("system-ui", "sans-serif")

# `page` is behind everything, `card` behind what belongs together, `rule` draws lines. Of the series, the first also
# stands for what is sure or earlier, the second for what is unsure or later. Text and series stand out from both
# grounds by a contrast of at least 4.5 (WCAG 2.2).
LIGHT = {
    "page": "#f6f7f9",
    "card": "#ffffff",
    "ink": "#1b1f27",
    "muted": "#5c6470",
    "rule": "#d9dde4",
    "series-1": "#2459c9",
    "series-2": "#b8480c",
    "series-3": "#14773c",
    "series-4": "#8430c4",
    "series-5": "#b61c5c",
    "series-6": "#0b6f86",
}
DARK = {
    "page": "#12151b",
    "card": "#1b1f27",
    "ink": "#e7eaf0",
    "muted": "#9aa3b2",
    "rule": "#39404d",
    "series-1": "#7fa8ff",
    "series-2": "#f59b5e",
    "series-3": "#5fd08b",
    "series-4": "#c99bff",
    "series-5": "#ff8fb8",
    "series-6": "#58c9e0",
}


def css_variables(colors: Mapping[str, str]) -> str:
    """Write colors as declarations of CSS variables.

    Args:
        colors: `LIGHT` or `DARK`.

    Returns:
        The declarations, to be put between braces.

    Example:
        >>> css_variables({"ink": "#1b1f27", "rule": "#d9dde4"})
        '--ink: #1b1f27; --rule: #d9dde4;'
    """
    return " ".join(f"--{name}: {color};" for name, color in colors.items())
