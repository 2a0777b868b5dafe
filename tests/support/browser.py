"""A real Chromium in front of a real server, and what a test does and sees in it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.support.started import until

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium; skip the test where there is none, but fail in CI."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("CI must test the explorer in a browser: install chromium")
        pytest.skip("there is no chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """A visit of the explorer in a browser tab of its own.

    Args:
        page: The tab, empty.
        origin: Of the server.

    Attributes:
        problems: What the browser complained about.
        requests: Every request that the page made.
    """

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin
        self.problems: list[str] = []
        self.requests: list[Request] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self.requests.append(request))  # noqa: PLW0108  # it must take attributes

    def open(self, address: str = "/explorer") -> None:
        """Open the explorer, or another address of the server, and wait until it is there."""
        self.page.goto(self.origin + address)
        self.page.locator(".graphiql-query-editor .CodeMirror").wait_for()

    def pick(self, role: str) -> None:
        """Become one of the ready people."""
        self.page.get_by_role("button", name=role, exact=True).click()
        self.page.locator("#people [aria-pressed=true]", has_text=role).wait_for()
        self.page.locator("#examples button").first.wait_for()

    def paste(self, token: str) -> None:
        """Paste a token."""
        if not self.page.get_by_label("Token", exact=True).is_visible():
            self.page.get_by_role("button", name="Paste a token").click()
        self.page.get_by_label("Token", exact=True).fill(token)
        self.page.get_by_role("button", name="Use it").click()

    def examples(self) -> list[str]:
        """Return the names of the examples: the actions, and `nodes`."""
        return self.page.locator("#examples button").all_inner_texts()

    def choose(self, action: str) -> None:
        """Click on the example of an action."""
        self.page.locator("#examples button", has_text=action).and_(
            self.page.get_by_role("button", name=action, exact=True)
        ).click()

    def type(self, query: str) -> None:
        """Replace what is in the query editor."""
        self.page.locator(".graphiql-query-editor .CodeMirror").click()
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.insert_text(query)

    def run(self) -> str:
        """Run what is in the editor and return the result."""
        self.page.evaluate(f"{_editor('.graphiql-response')}.setValue('')")
        self.page.get_by_role("button", name="Execute query (Ctrl-Enter)").click()
        return str(until(self.result))

    def result(self) -> str:
        """Return what the result pane shows."""
        return self.text_in(".graphiql-response")

    def text_in(self, pane: str) -> str:
        """Return all the text of an editor; on screen is only the part that is in sight."""
        return str(self.page.evaluate(f"{_editor(pane)}.getValue()"))

    def notice(self) -> str:
        """Return the words below the bar, once there are some."""
        return str(until(lambda: self.page.locator("#notice").inner_text()))

    def check(self) -> None:
        """Fail if the browser complained, or the page asked any host but this machine's."""
        assert self.problems == []
        assert {urlsplit(request.url).hostname for request in self.requests} == {"127.0.0.1"}

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(message.text)


def _editor(pane: str) -> str:
    return f"document.querySelector('{pane} .CodeMirror').CodeMirror"
