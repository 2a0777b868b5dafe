"""Sphinx's configuration for the site that `make docs` builds from the pages.

Nothing in the pages is for Sphinx alone, since GitHub shows them too. The root is the README. The
pages that its section "Documentation" links to are the site's contents, in that order.
"""

import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx

ROOT_PAGE = "README"

CONTENTS = re.compile(r"^## Documentation$(.*?)^## ", re.MULTILINE | re.DOTALL)
"""The section of the README that links to all pages."""

PAGE = re.compile(r"\]\(([\w/-]+)\.md\)")

# Sphinx reads the names below.
project = "graphql-admin"
html_title = project
extensions = ["myst_parser"]
root_doc = ROOT_PAGE
include_patterns = ["*.md", "bench/*.md", "docs/*.md"]
exclude_patterns = [".*", "*.egg-info", "build", "deploy", "dist", "graphql_admin", "tests"]
nitpicky = True
myst_heading_anchors = 6
suppress_warnings = ["misc.highlighting_failure"]  # Pygments knows no schemas; the tests parse them
html_theme = "furo"
html_favicon = "../graphql_admin/web/explorer/assets/icon.svg"
html_static_path = ["static"]
html_css_files = ["narrow.css"]
html_use_index = False
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False


def setup(app: Sphinx) -> None:
    """Connect what makes the README the root."""
    app.connect("source-read", add_contents)
    app.connect("build-finished", add_index)


def add_contents(_: Sphinx, page: str, source: list[str]) -> None:
    """Add the site's contents to the source of the README."""
    if page != ROOT_PAGE:
        return
    section = CONTENTS.search(source[0])
    pages = PAGE.findall(section[1]) if section else []
    source[0] += "\n".join(["\n```{toctree}", ":hidden:", "", *pages, "```\n"])


def add_index(app: Sphinx, error: Exception | None) -> None:
    """Let the site's own address show the README."""
    if error is None and app.builder.name == "html":
        shutil.copy(Path(app.outdir, f"{ROOT_PAGE}.html"), Path(app.outdir, "index.html"))
