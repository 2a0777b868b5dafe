"""The example for react-admin is built, opened in a browser, and used as people use it."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import chromium
from tests.support.pages import ROOT
from tests.support.patience import PATIENCE
from tests.support.site import Site, site

EXAMPLE = ROOT / "examples" / "react-admin"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (EXAMPLE / "node_modules").is_dir() and "CI" not in os.environ,
        reason="react-admin is not installed: npm ci in examples/react-admin",
    ),
]


RECORD_NOTICES = """
window.notices = [];
new MutationObserver(() => {
  for (const notice of document.querySelectorAll(".MuiSnackbarContent-message")) {
    window.notices.push(notice.innerText);
  }
}).observe(document, { childList: true, subtree: true });
"""
"""Keeps what the app says in notices, which are gone after some seconds."""


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and does not log."""

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder's files, and yield where."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield "http://{}:{}".format(*server.server_address)
        server.shutdown()
        thread.join(PATIENCE)


def build(folder: Path, graphql_url: str) -> None:
    """Type-check the example and build it for a server."""
    npx = shutil.which("npx")
    assert npx, "npx is not on the PATH"
    for command in (["tsc"], ["vite", "build", "--outDir", str(folder), "--logLevel", "error"]):
        ended = subprocess.run(
            [npx, "--no-install", *command],
            cwd=EXAMPLE,
            env={"PATH": os.environ["PATH"], "VITE_GRAPHQL_URL": graphql_url},
            capture_output=True,
            text=True,
            timeout=5 * PATIENCE,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Site]]:
    """The app at an origin of its own, and the server that it calls."""
    folder = tmp_path_factory.mktemp("react-admin")
    with served(folder) as origin, site(CORS_ORIGINS=origin) as server:
        build(folder, f"{server.origin}/graphql")
        yield origin, server


class Visit:
    """A visit of the app.

    Args:
        page: A tab.
        origin: Of the app.
        server: The server that it calls.
    """

    def __init__(self, page: Page, origin: str, server: Site) -> None:
        self.page = page
        self.server = server
        self.problems: list[str] = []
        self._origin = origin
        page.set_default_timeout(PATIENCE * 1000)
        page.add_init_script(RECORD_NOTICES)
        page.on("pageerror", lambda error: self.problems.append(str(error)))

    def sign_in(self, username: str) -> None:
        """Paste a token of a user."""
        self.page.goto(self._origin)
        self.page.get_by_label("Token").fill(self.server.cognito.token(username))
        self.page.get_by_role("button", name="Use it").click()

    def go(self, path: str) -> None:
        """Open an address of the app."""
        self.page.goto(f"{self._origin}/#{path}")

    def rows(self) -> list[str]:
        """Return the usernames of the list that is shown."""
        rows = self.page.locator("tbody tr")
        rows.first.wait_for()
        return self.page.locator("tbody td.column-username").all_inner_texts()

    def wait_for_rows(self, count: int) -> list[str]:
        """Return the usernames of the list once it has as many."""
        expect(self.page.locator("tbody tr")).to_have_count(count, timeout=PATIENCE * 1000)
        return self.rows()

    def range(self) -> str:
        """Return what the list says of its length."""
        return self.page.locator(".MuiTablePagination-displayedRows").inner_text()

    def expect_notice(self, text: str) -> None:
        """Wait until the app has said something in a notice."""
        self.page.wait_for_function(
            "text => notices.some((notice) => notice.includes(text))", arg=text
        )

    def expect_text(self, text: str) -> None:
        """Wait until the page shows something."""
        self.page.get_by_text(text).first.wait_for()


@pytest.fixture
def visit(browser: Browser, app: tuple[str, Site]) -> Iterator[Visit]:
    """A visit of an administrator's."""
    origin, server = app
    with browser.new_context(viewport={"width": 1200, "height": 900}) as context:
        visit = Visit(context.new_page(), origin, server)
        visit.sign_in("ada")
        visit.rows()
        yield visit
        assert visit.problems == []


def usernames(server: Site) -> list[str]:
    """Return all usernames in the order of Cognito."""
    pages = server.people.cognito.get_paginator("list_users").paginate(
        UserPoolId=server.people.pool_id
    )
    return [user["Username"] for page in pages for user in page["Users"]]


def test_pages(visit: Visit) -> None:
    """Pages follow each other by cursors; their number is known on the last page alone."""
    everyone = usernames(visit.server)
    assert visit.wait_for_rows(25) == everyone[:25]
    assert visit.range() == "1-25 of more than 25"
    for page in range(1, 7):
        visit.page.get_by_role("button", name="Go to next page").click()
        expected = everyone[25 * page : 25 * (page + 1)]
        visit.expect_text(expected[-1])
        assert visit.wait_for_rows(len(expected)) == expected
    assert visit.range() == f"151-{len(everyone)} of {len(everyone)}"
    visit.page.get_by_role("button", name="Go to previous page").click()
    visit.expect_text(everyone[125])
    assert visit.wait_for_rows(25) == everyone[125:150]


def test_page_of_a_bookmark(visit: Visit) -> None:
    """A page whose cursor the app has not seen is found."""
    visit.go("/users?page=4&perPage=25&filter={}&order=ASC&sort=id")
    expected = usernames(visit.server)[75:100]
    visit.expect_text(expected[0])
    assert visit.wait_for_rows(25) == expected


def test_search(visit: Visit) -> None:
    """A search finds by the start of the e-mail address, and says how many there are."""
    visit.page.get_by_placeholder("E-mail starts with").fill("ada@")
    assert visit.wait_for_rows(1) == ["ada"]
    assert visit.range() == "1-1 of 1"


def test_show(visit: Visit) -> None:
    """A user is shown with their groups."""
    visit.page.get_by_placeholder("E-mail starts with").fill("ada@")
    visit.wait_for_rows(1)
    visit.page.get_by_role("cell", name="ada@example.com").click()
    visit.expect_text("Editors")
    visit.expect_text("Admins")
    visit.expect_text(visit.server.people.user("ada")["UserAttributes"][0]["Value"])


def test_life_of_a_user(visit: Visit) -> None:
    """A user is created, edited and deleted."""
    page, people = visit.page, visit.server.people
    page.get_by_label("Create", exact=True).click()
    page.get_by_label("Username").fill("zoe")
    page.get_by_label("Email", exact=True).fill("zoe@example.com")
    page.get_by_label("Full name").fill("Zoe Zander")
    page.get_by_role("button", name="Save").click()
    visit.expect_text("FORCE_CHANGE_PASSWORD")
    assert attributes(people.user("zoe")) == {
        "email": "zoe@example.com",
        "email_verified": "false",
        "name": "Zoe Zander",
    }

    page.get_by_label("Edit", exact=True).click()
    page.get_by_label("Email", exact=True).fill("zoe@example.org")
    page.get_by_label("Email verified").check()
    page.get_by_role("button", name="Save").click()
    visit.expect_notice("Element updated")
    assert attributes(people.user("zoe")) == {
        "email": "zoe@example.org",
        "email_verified": "true",
        "name": "Zoe Zander",
    }

    visit.go("/users")
    page.get_by_placeholder("E-mail starts with").fill("zoe@")
    visit.wait_for_rows(1)
    page.get_by_role("cell", name="zoe@example.org").click()
    page.get_by_label("Edit", exact=True).click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Confirm").click()
    visit.expect_notice("Element deleted")
    assert "zoe" not in usernames(visit.server)


def test_address_is_deleted(visit: Visit) -> None:
    """An input that is emptied deletes the attribute."""
    page, people = visit.page, visit.server.people
    people.add_user("xena", email="xena@example.com", email_verified="true", name="Xena")
    page.get_by_placeholder("E-mail starts with").fill("xena@")
    visit.wait_for_rows(1)
    page.get_by_role("cell", name="xena@example.com").click()
    page.get_by_label("Edit", exact=True).click()
    page.get_by_label("Email", exact=True).fill("")
    page.get_by_role("button", name="Save").click()
    visit.expect_notice("Element updated")
    found = attributes(people.user("xena"))
    assert "email" not in found
    assert found["name"] == "Xena"


def test_errors(visit: Visit) -> None:
    """What the server rejects is said beside the input, and nothing is made of it."""
    page, people = visit.page, visit.server.people
    page.get_by_label("Create", exact=True).click()
    page.get_by_label("Username").fill("ada")
    page.get_by_role("button", name="Save").click()
    visit.expect_text("There is a user with this username already.")
    assert page.get_by_label("Username").get_attribute("aria-invalid") == "true"
    assert attributes(people.user("ada"))["email"] == "ada@example.com"


def test_a_change_elsewhere_is_not_overwritten(visit: Visit) -> None:
    """What changed since the form was opened is STALE, and stays."""
    page, people = visit.page, visit.server.people
    people.add_user("yuri", email="yuri@example.com")
    page.get_by_placeholder("E-mail starts with").fill("yuri@")
    visit.wait_for_rows(1)
    page.get_by_role("cell", name="yuri@example.com").click()
    page.get_by_label("Edit", exact=True).click()
    page.get_by_label("Full name").fill("Yuri of the form")
    people.cognito.admin_update_user_attributes(
        UserPoolId=people.pool_id,
        Username="yuri",
        UserAttributes=[{"Name": "name", "Value": "Yuri of elsewhere"}],
    )
    page.get_by_role("button", name="Save").click()
    visit.expect_notice("The user has changed since you read them")
    assert attributes(people.user("yuri"))["name"] == "Yuri of elsewhere"


def test_rights(browser: Browser, app: tuple[str, Site]) -> None:
    """Who may not list users is told so, and stays signed in; an invalid token is dropped."""
    origin, server = app
    with browser.new_context() as context:
        visit = Visit(context.new_page(), origin, server)
        visit.sign_in("otto")
        visit.expect_notice("listUsers")
        visit.page.evaluate("sessionStorage.setItem('token', 'eyJ')")
        visit.page.reload()
        visit.page.get_by_label("Token").wait_for()


def attributes(user: dict[str, Any]) -> dict[str, str]:
    """Return a user's attributes except the `sub`."""
    found = {each["Name"]: each["Value"] for each in user["UserAttributes"]}
    del found["sub"]
    return found
