"""Lines of the audit and the log: whatever a string contains is shown, and has no effect."""

import json
import os
import pty
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.audit.log import Event, Outcome
from graphql_admin.targets import Target
from graphql_admin.telemetry.lines import printable, to_json
from tests.support.api import Api
from tests.support.patience import PATIENCE
from tests.support.scripted import ScriptedCognito
from tests.support.started import ROOT

UNSEEN = {
    "NUL": "\0",
    "escape": "\x1b[2K\x1b[1A",
    "line feed": "\n",
    "carriage return": "\r",
    "DEL": "\x7f",
    "C1 control sequence introducer": "\x9b31m",
    "next line": "\x85",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "right-to-left override": "\u202egnp",
    "isolate": "\u2066x\u2069",
    "right-to-left mark": "\u200f",
    "zero-width space": "\u200b",
    "byte order mark": "\ufeff",
    "no-break space": "\u00a0",
    "soft hyphen": "\u00ad",
    "tag": "\U000e0041",
    "variation selector": "\ufe0f",
    "supplementary variation selector": "\U000e0100",
    "Hangul filler": "\u3164",
    "halfwidth Hangul filler": "\uffa0",
    "Hangul choseong filler": "\u115f",
    "combining grapheme joiner": "\u034f",
    "Khmer inherent vowel": "\u17b4",
    "Mongolian free variation selector": "\u180b",
    "ignorable, unassigned": "\u2065",
    "private use": "\U0010fffd",
    "no character": "\uffff",
}

SEEN = "Zoë 李 ✓ \U0001f600"


def event(name: str) -> bytes:
    """Return the line of an event in which every string from a client is `name`."""
    target = Target(name, name)
    return Event(name, name, name, {name}, "disableUser", target, Outcome.DONE, None).to_line()


@pytest.mark.parametrize("text", UNSEEN.values(), ids=UNSEEN.keys())
def test_what_is_not_printable_is_escaped(text: str) -> None:
    """A line is printable and one line, and contains the exact string that was given."""
    line = event(f"{SEEN}{text}!").decode()
    assert line[-1] == "\n"
    assert line[:-1].isprintable()
    assert text not in line[:-1]
    assert SEEN in line
    decoded = json.loads(line)
    assert decoded["target"] == {"username": f"{SEEN}{text}!", "group": f"{SEEN}{text}!"}
    assert decoded["caller"]["groups"] == [f"{SEEN}{text}!"]


def test_every_character() -> None:
    """Of all characters there are, each is printable or escaped, and comes back as it was."""
    for first in range(0, 0x110000, 4096):
        characters = map(chr, range(first, first + 4096))
        text = "".join(char for char in characters if unicodedata.category(char) != "Cs")
        line = to_json([text]).decode()
        assert line.isprintable()
        assert json.loads(line) == [text]


@pytest.mark.parametrize("points", [(0xD800,), (0xDFFF,), (97, 0xDC80, 98), (0xDC00, 0xD800)])
def test_lone_surrogates(points: tuple[int, ...]) -> None:
    """Half a character, which UTF-8 cannot have, is written as its name, and the line is good."""
    text = "".join(map(chr, points))
    decoded = json.loads(event(text))
    assert decoded["target"]["username"] == text.encode(errors="backslashreplace").decode()
    assert json.loads(to_json({text: [{"a": (text,)}]}))


@pytest.mark.parametrize("text", UNSEEN.values(), ids=UNSEEN.keys())
def test_texts_for_terminals(text: str) -> None:
    """A terminal is shown the escape instead of the character."""
    shown = printable(f"{SEEN}{text}")
    assert shown.isprintable()
    assert text not in shown
    assert shown.startswith(SEEN)


def test_event_of_a_name_that_is_not_printable(
    serve: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path
) -> None:
    """An attempt on such a name is refused, and its event is printable."""
    file = tmp_path / "audit.jsonl"
    api = serve(scripted.url, audit_file=file)
    document = "mutation ($n: String!) { disableUser(input: {username: $n}) { errors { code } } }"
    given = "".join(UNSEEN.values())
    assert api.send(document, {"n": given}).data["disableUser"]["errors"]
    text = file.read_text(encoding="utf-8")
    assert text.removesuffix("\n").isprintable()
    assert json.loads(text)["target"]["username"] == given


LOG = """
import logging, structlog
from graphql_admin.telemetry.log import configure_logging
configure_logging()
unseen = {unseen!a}
structlog.get_logger("own").warning("event " + unseen, text=unseen, items=[unseen])
logging.getLogger("other").warning("event %s", unseen.replace("\\n", ""))
"""


def run_log(**streams: Any) -> subprocess.CompletedProcess[bytes]:
    """Log what is not printable, from a process of its own."""
    code = LOG.format(unseen="".join(UNSEEN.values()))
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, timeout=PATIENCE, **streams
    )


def test_log_lines() -> None:
    """Log lines, this server's and those of libraries, are printable JSON."""
    lines = run_log(stderr=subprocess.PIPE).stderr.decode().splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.isprintable()
        assert json.loads(line)["level"] == "warning"


def test_log_lines_on_a_terminal() -> None:
    """No control sequences are written to a terminal, except for the log's own colours."""
    terminal, stream = pty.openpty()
    run_log(stderr=stream)
    os.close(stream)
    shown = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert shown.count("\r\n") == 2
    for text in UNSEEN.values():
        if text not in {"\r", "\n"}:
            assert text not in shown
    assert "\\x1b[2K" in shown
    assert "\\u202e" in shown
