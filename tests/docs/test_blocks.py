"""What stands in the pages' blocks of code is true: it is carried out on `graphql-admin dev`.

Commands that start with `curl`, queries and mutations are sent to it, in the order of the page, and
answered as the page says; `…` in an answer stands for anything. Files are read by what reads them.
"""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlsplit
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest
import yaml
from graphql import ExecutableDefinitionNode, parse
from prometheus_client.metrics import MetricWrapperBase

from docs.signals import labels_of
from graphql_admin.actions import Action
from graphql_admin.audit.log import Outcome
from graphql_admin.cli import main
from graphql_admin.engine.fallbacks import Fallback
from graphql_admin.errors import leaves
from graphql_admin.settings import PREFIX, load_settings
from graphql_admin.telemetry import metrics as telemetry
from tests.support.pages import PAGES, ROOT, Block, blocks_of, is_like, name_of
from tests.support.patience import PATIENCE
from tests.support.started import Program, started
from tests.support.started import run as run_to_end

NOT_RUN = {
    "hive": "publishes to a registry of schemas that needs an account",
    "node": "runs a block of the page, which is checked, and which `tests/node` has as a file",
    "npm": "installs what `tests/node` has in a lock",
    "npx": "is what the tests of gateways install and start, from a lock",
    ".": "puts on the `PATH` what `pip` installs",
    "pip": "is what installed this environment",
    "rover": "publishes to a registry of schemas that needs an account",
}
"""Commands that are not carried out, and why."""

ONLY_PARSED = {
    "check": "the pages' pool is an example: `tests/test_cli.py` has one that answers",
    "dev": "is what these tests started",
    "serve": "the pages' pool is an example: `tests/test_cli.py` has one that answers",
}
"""Subcommands of graphql-admin of which the arguments are parsed, and why no more is done."""


@dataclass
class Dev:
    """A server with an embedded Cognito, as `make dev` starts it."""

    url: str
    token: str
    """An administrator's."""
    process: Program
    """Where audit events go."""
    request_id: str = ""
    """The last request's."""
    reply: Any = None
    """What it was answered."""
    variables: dict[str, str] = field(default_factory=dict)
    """What the page has exported so far."""

    def send(self, path: str, body: str) -> None:
        self.request_id = uuid4().hex
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "X-Request-Id": self.request_id,
        }
        request = Request(self.url + path, body.encode(), headers)
        try:
            with urlopen(request, timeout=PATIENCE) as response:
                self.reply = json.load(response)
        except HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    def event(self) -> Any:
        """Return the audit event that the last request left."""
        line = self.process.wait_for(rf"(?m)^.*{self.request_id}.*\n")[0]
        return json.loads(line)


@pytest.fixture(scope="module")
def server() -> Iterator[Dev]:
    """The server of all pages: each leaves the users and groups of the others as it found them."""
    with started("dev", "--port", "0") as process:
        process.wait_for(r"(?m)^curl .*\n")
        said = process.output()
        url = re.search(r"http://127\.0\.0\.1:\d+", said)
        token = re.search(r"^ada .*\n(eyJ\S+)$", said, re.MULTILINE)
        assert url, said
        assert token, said
        yield Dev(url[0], token[1], process)


@pytest.fixture
def dev(server: Dev) -> Dev:
    """The server, as a page finds it."""
    return Dev(server.url, server.token, server.process)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks(page: Path, dev: Dev, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block of a page does what the page says of it."""
    for block, following in pairwise([*blocks_of(page), None]):
        assert block is not None
        run(block, following, page, dev, tmp_path)
    with monkeypatch.context() as environment:
        for name, value in dev.variables.items():
            environment.setenv(name, value)
        if any(name.startswith(PREFIX) for name in dev.variables):
            load_settings()


def run(block: Block, following: Block | None, page: Path, dev: Dev, folder: Path) -> None:
    """Carry out a block, compare a reply, or read the block."""
    match block.language:
        case _ if block.label.startswith("examples/"):
            pass  # of a program that the tests of examples run
        case "graphql" | "json" if block.label.startswith("scripted "):
            pass  # of what the embedded Cognito lacks: other modules run these on a scripted one
        case "graphql":
            definitions = parse(block.text).definitions
            if any(isinstance(node, ExecutableDefinitionNode) for node in definitions):
                dev.send("/graphql", json.dumps({"query": block.text}))
                check(dev, following)
        case "sh":
            for line in commands_of(block):
                run_command(line, following, dev, folder)
        case "json" if block.label == "audit":
            event = dev.event()
            assert is_like(event, json.loads(block.text)), event
        case "json":
            assert is_like(dev.reply, json.loads(block.text)), dev.reply
        case _:
            read(block, page, dev, folder)


def read(block: Block, page: Path, dev: Dev, folder: Path) -> None:
    """Read a block as what it is for reads it."""
    match block.language:
        case "toml":
            file = folder / "policy.toml"
            file.write_text(block.text, encoding="utf-8")
            assert load_settings(user_pool_id="eu-west-1_Aa", client_ids="a", policy_file=file)
        case "js":
            check_javascript(block.text, folder)
        case "yaml":
            check_alerts(yaml.safe_load(block.text))
        case "text" if block.label == "filter":
            check_filters(block.text, dev.event())
        case "python":
            assert page.name == "contributing.md"  # `tests/admin/test_new_action.py` runs these
        case language:
            assert language in {"swift", "text"}, f"unexpected language {language}"


def check(dev: Dev, following: Block | None) -> None:
    """Check that a request went well, unless the page shows something else."""
    if following is None or following[:2] != ("json", ""):
        assert "errors" not in dev.reply, dev.reply
        assert "code" not in dev.reply, dev.reply
        for payload in dev.reply.get("data", {}).values():
            assert not (isinstance(payload, dict) and payload.get("errors")), dev.reply


def commands_of(block: Block) -> list[list[str]]:
    """Return the words of each command, up to a pipe."""
    lines = block.text.replace("\\\n", " ").splitlines()
    commands = [shlex.split(line.partition(" | ")[0], comments=True) for line in lines]
    return [words for words in commands if words]


def run_command(words: Sequence[str], following: Block | None, dev: Dev, folder: Path) -> None:
    """Carry out a command, or check that it could be."""
    match words:
        case ["curl", "-sS", url, *options]:
            run_curl(url, options, following, dev)
        case ["export", assignment]:
            name, _, value = assignment.partition("=")
            dev.variables[name] = value
        case ["graphql-admin", *arguments]:
            run_graphql_admin(arguments, following, dev, folder)
        case ["make", target, *_]:
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert re.search(rf"^{target}:", makefile, re.MULTILINE)
        case ["python", "-c", code]:
            assert run_to_end(code=code).returncode == 0
        case ["python" | "python3", "-m", module, *_]:
            assert importlib.util.find_spec(module)
        case [program, *_]:
            assert program in NOT_RUN


def run_graphql_admin(
    words: Sequence[str], following: Block | None, dev: Dev, folder: Path
) -> None:
    """Run this command line, or check that it could be."""
    match words:
        case [name, *arguments] if name in ONLY_PARSED:
            assert main.commands[name].make_context(name, list(arguments))
        case ["users", command, file, *arguments]:
            run_users(command, folder / file, arguments, dev)
        case _:
            ended = run_to_end(*words, **dev.variables)
            assert ended.returncode == 0, ended.stderr
            assert ended.stdout
            if following is not None and following.language == "json":
                dev.reply = json.loads(ended.stdout)


def run_users(command: str, file: Path, arguments: Sequence[str], dev: Dev) -> None:
    """Export the pool's users to a file, or import them; a user who exists is not changed."""
    assert "http://127.0.0.1:8000/graphql" in arguments
    given = [argument.replace("http://127.0.0.1:8000", dev.url) for argument in arguments]
    variables = {**dev.variables, "GRAPHQL_ADMIN_TOKEN": dev.token}
    ended = run_to_end("users", command, str(file), *given, **variables)
    # Some of the people there are of an external provider, and cannot be imported.
    assert ended.returncode == (0 if command == "export" else 1), ended.stderr
    assert file.exists()


def run_curl(url: str, options: Sequence[str], following: Block | None, dev: Dev) -> None:
    """Send what curl would send, except to the pool's domain, which is an example."""
    given = dict(zip(options[::2], options[1::2], strict=True))
    path = urlsplit(url).path
    if path == "/oauth2/token":
        assert given.keys() == {"-u", "-d"}
        assert dict(parse_qsl(given["-d"], strict_parsing=True)).keys() == {"grant_type", "scope"}
        return
    if path == "/explorer/config.json":
        assert not given
        with urlopen(dev.url + path, timeout=PATIENCE) as response:
            people = json.load(response)["people"]
        assert [person["username"] for person in people] == ["ada", "sam", "otto"]
        dev.token = people[0]["token"]
        dev.send("/graphql", '{"query": "{ viewer { username } }"}')
        assert dev.reply == {"data": {"viewer": {"username": "ada"}}}
        return
    assert given.keys() == {"-H", "-d"}
    assert f"Authorization: Bearer {chr(36)}TOKEN" in options
    dev.send(path, given["-d"])
    check(dev, following)


def check_alerts(rules: Any) -> None:
    """Check that alert rules look at what there is: metrics, labels, and the values of labels."""
    metrics = {
        name: collector
        for collector in vars(telemetry).values()
        if isinstance(collector, MetricWrapperBase)
        for (family,) in [collector.describe()]
        for name in (family.name, f"{family.name}_total", f"{family.name}_bucket")
    }
    values = {
        "code": {error.code for error in leaves()},
        "kind": {each.value for each in Fallback},
        "outcome": {"ok", "failed"},
        "reason": set(telemetry.ENDINGS),
    }
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        assert rule["annotations"]["summary"]
        selectors = re.findall(r"(graphql_admin_\w+)(?:{([^}]*)})?", rule["expr"])
        assert selectors, rule
        for name, matchers in selectors:
            assert name in metrics, rule
            for label, pattern in re.findall(r'(\w+)=~?"([^"]*)"', matchers):
                assert label in labels_of(metrics[name]), rule
                assert set(pattern.split("|")) <= values[label], rule


def check_filters(patterns: str, event: Any) -> None:
    """Check that filter patterns name members of an event or a log line, and outcomes there are."""
    for path, value in re.findall(r'\$\.([\w.]+) = "([^"]*)"', patterns):
        if path != "level":
            found = event
            for member in path.split("."):
                found = found[member]
        assert path != "event" or value == event["event"]
        assert path != "outcome" or value in set(Outcome)
        assert path != "action" or value in {action.label for action in Action}
    assert patterns.count("$.") == len(re.findall(r'\$\.[\w.]+ = "', patterns))


def check_javascript(text: str, folder: Path) -> None:
    """Check that JavaScript parses; in CI there must be what can tell."""
    node = shutil.which("node")
    assert node or "CI" not in os.environ
    if node:
        file = folder / "block.mjs"
        file.write_text(text, encoding="utf-8")
        ended = subprocess.run(
            [node, "--check", file], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("actual", "expected", "is_same"),
    [
        ({"a": "2026-11-26"}, {"a": "2026-…"}, True),
        ({"a": "2025-11-26"}, {"a": "2026-…"}, False),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": None}, {"a": "…"}, False),
        ({"a": "x.y"}, {"a": "x.y"}, True),
    ],
)
def test_answers_are_compared(actual: Any, expected: Any, *, is_same: bool) -> None:
    """An answer with something missing, more or else is not what the page says."""
    assert is_like(actual, expected) is is_same
