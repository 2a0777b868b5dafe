"""With other versions than the locked ones, plans are used if they agree with the ordinary path."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from graphql import ExecutionResult
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from graphql_admin.actions import Action
from graphql_admin.admin import self_check
from graphql_admin.admin.schema import AdminSchema
from graphql_admin.engine import completion, plans, runner
from graphql_admin.engine.fallbacks import Fallback
from graphql_admin.engine.plans import CompiledOperation, Planned
from graphql_admin.engine.runner import LOCKED_VERSIONS, Runner
from tests.support.api import Api
from tests.support.scripted import ScriptedCognito

ROOT = Path(__file__).parents[2]


def test_locked_versions() -> None:
    """The versions without a check are those of the lock, beside which all tests run."""
    pins = dict(
        re.findall(r"^([a-z-]+)==([\w.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    )
    assert {name: pins[name] for name in LOCKED_VERSIONS} == LOCKED_VERSIONS
    assert runner.other_versions() == {}


@pytest.fixture
def other_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of graphql-core is installed than is locked."""
    monkeypatch.setattr(runner, "LOCKED_VERSIONS", {**LOCKED_VERSIONS, "graphql-core": "3.3.0"})


def test_no_check_beside_locked_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is checked, or logged, where the versions are those of the lock."""
    monkeypatch.setattr("graphql_admin.admin.schema.plans_hold", lambda *_: pytest.fail("checked"))
    with capture_logs() as logs:
        AdminSchema()
    assert logs == []


@pytest.mark.usefixtures("other_version")
def test_plans_that_hold(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Beside another version that does the same, plans are used, and the log says so."""
    before = fallbacks()
    with capture_logs() as logs:
        api = serve(scripted.url)
    installed = {"graphql-core": LOCKED_VERSIONS["graphql-core"]}
    assert [entry for entry in logs if "plans hold" in entry["event"]] == [
        {
            "event": "plans hold with versions other than the locked ones",
            "installed": installed,
            "log_level": "info",
        }
    ]
    assert api.send("{ viewer { sub } }").codes == []
    assert fallbacks() == before


def fallbacks() -> dict[str, float | None]:
    return {
        each.value: REGISTRY.get_sample_value("graphql_admin_fallbacks_total", {"kind": each.value})
        for each in Fallback
    }


@pytest.mark.usefixtures("other_version")
@pytest.mark.parametrize("disabled", [(), set(Action) - {Action.VIEWER}], ids=["all", "viewer"])
def test_samples_fit(disabled: set[Action]) -> None:
    """Samples are left out for what is disabled, and for nothing else."""
    schema = AdminSchema(disabled)
    fitting = list(self_check.fitting_samples(schema.graphql_schema))
    assert len(fitting) == (2 if disabled else len(self_check.SAMPLES))


def wrong_typename(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        plans, "compile_constant_column", lambda _: completion.compile_constant_column("Nothing")
    )


def wrong_enum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        completion, "_compile_enum", lambda _: lambda values, _: ["CONFIRMED" for _ in values]
    )


def wrong_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "compile_arguments", lambda *_: lambda _: {})


def wrong_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphql_admin.engine.selections.Selections._lets_pass", lambda *_: True)


def lost_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Planned, "to_result", lambda self: ExecutionResult(self.data))


def done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was resolved is resolved once more on the ordinary path."""

    def replay(_: Planned) -> Callable[..., Any]:
        return lambda next_, source, info, **arguments: next_(source, info, **arguments)

    monkeypatch.setattr(Planned, "replay", replay)


def fault(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(*_: object) -> Planned:
        raise AttributeError

    monkeypatch.setattr(CompiledOperation, "run", run)


@pytest.mark.usefixtures("other_version")
@pytest.mark.parametrize(
    "break_",
    [
        wrong_typename,
        wrong_enum,
        wrong_arguments,
        wrong_conditions,
        lost_errors,
        done_again,
        fault,
    ],
)
def test_plans_that_do_not_hold(
    break_: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
) -> None:
    """Where they differ, every operation takes the ordinary path, and the log says so."""
    break_(monkeypatch)
    before = fallbacks()
    with capture_logs() as logs:
        api = serve(scripted.url)
    assert "every operation takes the ordinary path: plans do not hold" in [
        entry["event"] for entry in logs if entry["log_level"] == "warning"
    ]
    answer = api.send("{ viewer { __typename username } }")
    assert answer.codes == []
    assert answer.data["viewer"]["__typename"] == "Viewer"
    after = fallbacks()
    assert (after.pop("versions") or 0) == (before.pop("versions") or 0) + 1
    assert after == before


@pytest.mark.usefixtures("other_version")
def test_check_in_a_running_loop() -> None:
    """The schema can be made where an event loop runs already."""

    async def make() -> AdminSchema:
        return AdminSchema()

    with capture_logs() as logs:
        schema = asyncio.run(make())
    assert [entry["log_level"] for entry in logs] == ["info"]
    assert isinstance(schema.runner, Runner)
