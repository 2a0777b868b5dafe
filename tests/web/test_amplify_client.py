"""The routes of Admin Queries, called by the clients that they are for."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from graphql_admin.dev.cognito import REGION, EmbeddedCognito, isolated_environment
from tests.support.directory import Directory
from tests.support.patience import PATIENCE
from tests.support.started import started

CLIENTS = Path(__file__).parent.parent / "node" / "amplify"

CLIENTS_INSTALLED = shutil.which("node") is not None and (CLIENTS / "node_modules").is_dir()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not CLIENTS_INSTALLED and "CI" not in os.environ,
        reason=f"Amplify's clients are not installed: npm ci in {CLIENTS.name}",
    ),
]

Call = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def embedded() -> Iterator[EmbeddedCognito]:
    """A pool with more Editors than fit on a page of ten."""
    with isolated_environment(), EmbeddedCognito() as cognito:
        cognito.seed(160)
        yield cognito


@pytest.fixture(scope="module")
def people(embedded: EmbeddedCognito) -> Directory:
    """That pool, as a plain boto3 client sees it."""
    return Directory(
        boto3.client(
            "cognito-idp",
            region_name=REGION,
            endpoint_url=embedded.endpoint_url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        ),
        embedded.pool_id,
    )


@pytest.fixture(scope="module")
def endpoint(embedded: EmbeddedCognito) -> Iterator[str]:
    """Where the routes are."""
    variables = dict(embedded.environment) | {"GRAPHQL_ADMIN_PORT": "0"}
    with started("serve", **variables) as server:
        yield server.wait_for(r"Listening on (\S+)\n")[1] + "/AdminQueries"


@pytest.fixture(params=["amplify5", "amplify6"])
def call(request: pytest.FixtureRequest, embedded: EmbeddedCognito, endpoint: str) -> Call:
    """Make calls with one of Amplify's clients: `call({...}, {...}, username="ada")`."""

    def send(*calls: dict[str, Any], username: str | None = "ada") -> list[dict[str, Any]]:
        token = embedded.token(username) if username else None
        done = subprocess.run(
            ["node", "calls.mjs", request.param],
            input=json.dumps({"endpoint": endpoint, "token": token, "calls": calls}),
            cwd=CLIENTS,
            stdout=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers

    return send


def post(path: str, **body: str) -> dict[str, Any]:
    return {"method": "post", "path": f"/{path}", "body": body}


def get(path: str, *, pages: bool = False, **query: str | int) -> dict[str, Any]:
    return {"method": "get", "path": f"/{path}", "query": query, "pages": pages}


def test_groups(call: Call, people: Directory) -> None:
    """Richard becomes an editor, is among the editors page by page, and is one no longer."""
    membership = {"username": "richard", "groupname": "Editors"}
    added, *pages = call(
        post("addUserToGroup", **membership),
        get("listUsersInGroup", pages=True, groupname="Editors", limit=10),
    )
    assert added == {"status": 200, "body": {"message": "Success adding richard to Editors"}}
    assert "Editors" in people.groups_of("richard")

    assert len(pages) > 2
    assert [len(page["body"]["Users"]) for page in pages[:-1]] == [10] * (len(pages) - 1)
    found = [user["Username"] for page in pages for user in page["body"]["Users"]]
    editors = people.cognito.get_paginator("list_users_in_group").paginate(
        UserPoolId=people.pool_id, GroupName="Editors"
    )
    assert sorted(found) == sorted(u["Username"] for page in editors for u in page["Users"])
    assert "richard" in found

    listed, removed, after = call(
        get("listGroupsForUser", username="richard"),
        post("removeUserFromGroup", **membership),
        get("listGroupsForUser", username="richard", limit=60),
    )
    assert [group["GroupName"] for group in listed["body"]["Groups"]] == ["Editors", "Readers"]
    assert removed["body"] == {"message": "Removed richard from Editors"}
    assert [group["GroupName"] for group in after["body"]["Groups"]] == ["Readers"]


def test_states_of_a_user(call: Call, people: Directory) -> None:
    """A user is disabled, enabled and confirmed, and getUser shows each."""
    unconfirmed = next(
        user["Username"]
        for page in people.cognito.get_paginator("list_users").paginate(UserPoolId=people.pool_id)
        for user in page["Users"]
        if user["UserStatus"] == "UNCONFIRMED"
    )
    disabled, while_disabled, enabled, confirmed, in_the_end = call(
        post("disableUser", username=unconfirmed),
        get("getUser", username=unconfirmed),
        post("enableUser", username=unconfirmed),
        post("confirmUserSignUp", username=unconfirmed),
        get("getUser", username=unconfirmed),
    )
    assert disabled["body"] == {"message": f"Disabled {unconfirmed}"}
    assert while_disabled["body"]["Enabled"] is False
    assert while_disabled["body"]["UserStatus"] == "UNCONFIRMED"
    assert enabled["body"] == {"message": f"Enabled {unconfirmed}"}
    assert confirmed["body"] == {"message": f"Confirmed {unconfirmed} registration"}
    assert in_the_end["body"]["Enabled"] is True
    assert in_the_end["body"]["UserStatus"] == "CONFIRMED"
    expected = people.user(unconfirmed)["UserAttributes"]
    assert in_the_end["body"]["UserAttributes"] == expected


def test_lists(call: Call) -> None:
    """Every user and group is listed, page by page, with dates that JavaScript parses."""
    answers = call(get("listUsers", pages=True, limit=60), get("listGroups", pages=True, limit=3))
    users = [user for answer in answers for user in answer["body"].get("Users", ())]
    assert len({user["Username"] for user in users}) == len(users) == 160
    assert {"Name": "email", "Value": "ada@example.com"} in users[0]["Attributes"]
    assert users[0]["UserCreateDate"].endswith("Z")
    groups = [group for answer in answers for group in answer["body"].get("Groups", ())]
    assert sorted(group["GroupName"] for group in groups) == [
        "Admins",
        "Alumni",
        "Editors",
        "Readers",
        "Support",
    ]


def test_signing_out(call: Call) -> None:
    """Every signed-in user may sign themselves out, and no one else."""
    own, others = call(
        post("signUserOut", username="otto"),
        post("signUserOut", username="ada"),
        username="otto",
    )
    assert own["body"] == {"message": "Signed out otto from all devices"}
    assert (others["status"], others["body"]["code"]) == (403, "FORBIDDEN")


def test_refused(call: Call, people: Directory) -> None:
    """A caller without the right, or without a token, gets an error that the client understands."""
    asked = post("addUserToGroup", username="otto", groupname="Admins")
    for username, status, code in (
        ("otto", 403, "FORBIDDEN"),
        ("sam", 403, "OUT_OF_SCOPE"),
        (None, 401, "UNAUTHENTICATED"),
    ):
        (answer,) = call(asked, username=username)
        assert (answer["status"], answer["body"]["code"]) == (status, code)
        # The client of today names its error after the code.
        assert answer.get("name", code) == code
        assert answer.get("text", answer["body"]["message"]) == answer["body"]["message"]
    assert people.groups_of("otto") == set()
