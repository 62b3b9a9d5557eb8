"""Pages of the site whose text stands elsewhere in the repository, so that nothing is written twice.

The home page is the README, the recipes are those of configuration/, a trained orderer's page is its model card, every
public name of the package has a page with its docstrings, and the report is one that `evaluate` wrote.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "modeling" / "sentence_ordering"
NOTEBOOK = "notebooks/quickstart.ipynb"
# Where links out of docs/ lead on the site; those of the README are relative to the repository.
MOVED = (
    (r"\]\((?:\.\./)?configuration/([\w/-]+)\.yaml\)", r"](configuration.md#\1)"),
    (r"\]\((?:\.\./)?configuration/?\)", "](configuration.md)"),
    (r"\]\((?:\.\./)?modeling/sentence_ordering/orderers/([\w-]+)/README\.md\)", r"](orderers/\1.md)"),
    (r"\]\(\.\./notebooks/", "](notebooks/"),
    (r"\]\(docs/", "]("),
)

REPORT_PAGE = """\
# A report as it is

`report.html`, which `sentence-ordering evaluate --model general --dataset bigbench_narratives` wrote when the site
was built. [Evaluate](evaluate.md) says what its figures mean. It can be [opened by itself](evaluation.html).

<iframe class="report" src="../evaluation.html" title="The report of an evaluation"></iframe>
"""


def public_names() -> list[str]:
    """Return the names of the package's `__all__`, without importing it."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    [names] = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    return ast.literal_eval(names)


def make_pages() -> dict[str, str]:
    """Return the text of every page that is made, by its place in the site."""
    pages = {"index.md": (REPOSITORY / "README.md").read_text(encoding="utf-8"), "report.md": REPORT_PAGE}
    for name in public_names():
        pages[f"reference/{name}.md"] = f"---\ntitle: {name}\n---\n\n::: sentence_ordering.{name}\n"
    for card in PACKAGE.glob("orderers/*/README.md"):
        pages[f"orderers/{card.parent.name}.md"] = card.read_text(encoding="utf-8").split("\n---\n", 1)[-1]
    folder = REPOSITORY / "configuration"
    recipes = {path.relative_to(folder).with_suffix(""): path for path in sorted(folder.rglob("*.yaml"))}
    pages["configuration.md"] = (
        "# Recipes\n\nThe files of `configuration/`, for `sentence-ordering train FILE`.\n"
        + "".join(
            f"\n## {name} {{#{name}}}\n\n```yaml\n{path.read_text(encoding='utf-8')}```\n"
            for name, path in recipes.items()
        )
    )
    return pages


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, the notebook, and the report."""
    report = REPOSITORY / config.extra["report"]
    if not report.is_file():
        raise PluginError(f"There is no {report}. Build the site with `make docs`, which makes it.")
    for place, text in make_pages().items():
        files.append(File.generated(config, place, content=text))
    files.append(File.generated(config, "evaluation.html", abs_src_path=str(report)))
    files.append(File.generated(config, NOTEBOOK, abs_src_path=str(REPOSITORY / NOTEBOOK)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links into the repository lead to the pages that are made of it."""
    for link, place in MOVED:
        markdown = re.sub(link, place, markdown)
    return markdown
