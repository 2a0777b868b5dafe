"""The community's audits of GraphQL over HTTP, from the npm package `graphql-http`."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.api import Api
from tests.support.patience import PATIENCE
from tests.support.scripted import ScriptedCognito

NODE = Path(__file__).parent.parent / "node"


def require_node() -> str:
    """Return the path of Node; without it, or the packages, skip, but fail in CI."""
    node = shutil.which("node")
    if node is None or not (NODE / "node_modules" / "graphql-http").exists():
        reason = "takes Node 20 and `npm ci` in tests/node"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return node


def test_audits(listen: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Every audit is passed, none with a warning or a notice."""
    node = require_node()
    api = listen(scripted.url)
    run = subprocess.run(
        [node, "audit.mjs"],
        cwd=NODE,
        env={
            "PATH": os.environ["PATH"],
            "URL": f"{api.client.base_url}/graphql".replace("//graphql", "/graphql"),
            "TOKEN": api.token("Admins"),
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    results = json.loads(run.stdout)
    assert len(results) > 50
    assert [result for result in results if result["status"] != "ok"] == []
