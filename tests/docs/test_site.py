"""The site that `make docs` builds: what fails its build, and how it reads on a phone."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest

from tests.support.browser import chromium
from tests.support.pages import ALL_PAGES, ROOT, name_of
from tests.support.patience import PATIENCE

ICON = "graphql_admin/web/explorer/assets/icon.svg"

PHONE = {"width": 390, "height": 844}


def build(root: Path, output: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; from pathlib import Path; from docs.site import build; "
        "sys.exit(build(Path(sys.argv[1]), Path(sys.argv[2])))"
    )
    return subprocess.run(
        [sys.executable, "-c", code, root, output],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository with two pages and the configuration of this one."""
    root = tmp_path / "repository"
    (root / "docs").mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "conf.py", root / "docs")
    shutil.copytree(ROOT / "docs" / "static", root / "docs" / "static")
    icon = root / ICON
    icon.parent.mkdir(parents=True)
    shutil.copy(ROOT / ICON, icon)
    (root / "schema.graphql").write_text("type Query { a: Int }\n")
    (root / "docs" / "cursors.md").write_text("# Cursors\n\n## What is it?\n\nA place.\n")
    (root / "README.md").write_text(
        "# Name\n\nSee [cursors](docs/cursors.md#what-is-it) and [schema](schema.graphql).\n\n"
        "## Documentation\n\n| | |\n|---|---|\n| [Cursors](docs/cursors.md) | a place |\n\n"
        "## Licence\n"
    )
    return root


def test_what_is_sound_is_built(small: Path, tmp_path: Path) -> None:
    """Links as GitHub understands them lead to the site's pages; its address shows the README."""
    ended = build(small, tmp_path / "site")
    assert ended.returncode == 0, ended.stderr
    index = (tmp_path / "site" / "index.html").read_text()
    assert 'href="docs/cursors.html#what-is-it"' in index
    assert (tmp_path / "site" / "docs" / "cursors.html").exists()


DEAD = (
    "[a page](nowhere.md)",
    "[a file](../schema.sdl)",
    "[an anchor](#nowhere)",
    "[another page's anchor](../README.md#nowhere)",
    "![an image](nowhere.png)",
)


def test_faults(small: Path, tmp_path: Path) -> None:
    """Each link that leads nowhere, and a page without one to it, fails the build; always."""
    cursors = small / "docs" / "cursors.md"
    line = len(cursors.read_text().splitlines()) + 2
    with cursors.open("a") as page:
        page.write("".join(f"\n{link}\n" for link in DEAD))
    (small / "docs" / "alone.md").write_text("# Alone\n")
    places = {f"cursors.md:{number}" for number in range(line, line + 2 * len(DEAD), 2)}
    for _ in range(2):
        ended = build(small, tmp_path / "site")
        assert ended.returncode != 0
        found = re.findall(r"docs/(\S+): WARNING", ended.stderr)
        assert sorted(found) == sorted(places | {"alone.md"}), ended.stderr


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
def test_phone(tmp_path: Path) -> None:
    """On a phone no page scrolls sideways, tables do within; nothing comes from another host."""
    ended = build(ROOT, tmp_path / "site")
    assert ended.returncode == 0, ended.stderr
    problems: list[str] = []
    hosts = set()
    with served(tmp_path / "site") as origin, chromium() as browser:
        page = browser.new_page(viewport=PHONE)
        page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        names = [name_of(each).removesuffix(".md") + ".html" for each in ALL_PAGES]
        for name in ["", *names]:
            page.goto(f"{origin}/{name}")
            assert page.locator("h1").count() == 1, name
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
        page.goto(f"{origin}/docs/settings.html")
        table = page.locator(".table-wrapper").first
        assert table.evaluate("element => element.scrollWidth > element.clientWidth")
        table.evaluate("element => element.scrollLeft = 300")
        name = page.locator("td", has_text="USER_POOL_ID").first.bounding_box()
        assert name is not None
        assert 0 <= name["x"] <= PHONE["width"] / 4, "the name of a row is out of sight"
    assert hosts == {"127.0.0.1"}
    assert problems == []
