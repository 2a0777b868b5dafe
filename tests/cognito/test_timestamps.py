"""Dates: one form for all of them."""

from collections.abc import Callable

import pytest

from graphql_admin.cognito.operations import to_timestamp
from tests.support.api import Api
from tests.support.scripted import ScriptedCognito, reply


@pytest.mark.parametrize(
    ("seconds", "timestamp"),
    [
        (1_700_000_000, "2023-11-14T22:13:20.000Z"),
        (1_700_000_000.0, "2023-11-14T22:13:20.000Z"),
        (1_700_000_013.553, "2023-11-14T22:13:33.553Z"),
        (1_700_000_013.5, "2023-11-14T22:13:33.500Z"),
        (1_700_000_039.9996, "2023-11-14T22:14:00.000Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (-0.001, "1969-12-31T23:59:59.999Z"),
        (253_402_300_799.999, "9999-12-31T23:59:59.999Z"),
        (None, None),
    ],
)
def test_timestamps_have_one_form(seconds: float | None, timestamp: str | None) -> None:
    """A date is written alike whatever its fraction of a second is."""
    assert to_timestamp(seconds) == timestamp


def test_dates_have_one_form(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Every date of a user or a group has that form, and the scalar says which it is."""
    dates = {"UserCreateDate": 1_700_000_000, "UserLastModifiedDate": 1_700_000_013.553}
    group = {"CreationDate": 1_700_000_000, "LastModifiedDate": 1_700_000_013.553}
    scripted.on("ListUsers", reply({"Users": [{"Username": "bob", **dates}]}))
    scripted.on("ListGroups", reply({"Groups": [{"GroupName": "Editors", **group}]}))
    answer = serve(scripted.url).send("""{
      users { nodes { createdAt updatedAt } } groups { nodes { createdAt updatedAt } }
      __type(name: "DateTime") { specifiedByURL }
    }""")
    stamps = {"createdAt": "2023-11-14T22:13:20.000Z", "updatedAt": "2023-11-14T22:13:33.553Z"}
    assert answer.data["users"]["nodes"] == answer.data["groups"]["nodes"] == [stamps]
    assert answer.data["__type"]["specifiedByURL"].startswith("https://scalars.graphql.org/")
