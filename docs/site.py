"""Build the pages as a site: `python -m docs.site`.

It fails on a link to a page, heading or file that is not there, and on a page that no other leads
to. Everything is built again each time, since Sphinx does not repeat the warnings of pages that it
keeps.
"""

import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

OUTPUT = Path("build/docs")


def build(root: Path, output: Path) -> int:
    """Build the site, and return the exit code.

    Args:
        root: The repository, whose `docs` has Sphinx's configuration.
        output: Folder for the site; what was in it is removed.
    """
    shutil.rmtree(output, ignore_errors=True)
    options = ["--quiet", "--fail-on-warning", "--keep-going"]
    doctrees = output.with_name(f"{output.name}-doctrees")
    shutil.rmtree(doctrees, ignore_errors=True)
    return build_main(
        [
            *options,
            f"--conf-dir={root / 'docs'}",
            f"--doctree-dir={doctrees}",
            str(root),
            str(output),
        ]
    )


def main() -> int:
    """Build the repository's site; returns the exit code."""
    code = build(Path(), OUTPUT)
    if code == 0:
        print(f"The site is in {OUTPUT}: open {OUTPUT}/index.html")
    return code


if __name__ == "__main__":
    sys.exit(main())
