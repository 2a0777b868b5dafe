"""What the tests of actions can ask for."""

import pytest

from tests.support.changes import go_without_plans


@pytest.fixture(params=["planned", "ordinary"])
def paths(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a plan, and by graphql-core alone."""
    if request.param == "ordinary":
        go_without_plans(monkeypatch)
