"""The two actions of `docs/contributing.md`, end to end.

`test_new_action` runs this where they are.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from graphql_admin.actions import Action
from graphql_admin.policy.iam import iam_policy
from tests.support.api import Api
from tests.support.directory import Directory
from tests.support.scripted import ScriptedCognito, reply

PASSWORD = "Correct-horse-7-battery"


def test_actions(
    serve: Callable[..., Api],
    moto_url: str,
    directory: Directory,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The pool is changed, the right target is recorded, and the password is nowhere."""
    directory.add_group("Editors")
    directory.add_user("bob")
    path = tmp_path / "audit.jsonl"
    api = serve(moto_url, directory.pool_id, audit_file=path)
    done = api.send(
        """mutation ($set: SetUserPasswordInput!) {
            setUserPassword(input: $set) { user { username status } errors { code } }
            empty: setUserPassword(input: {username: "bob", password: ""}) {
                user { username } errors { code field }
            }
            deleteGroup(input: {groupName: "Editors"}) { group { name } errors { code } }
            again: deleteGroup(input: {groupName: "Editors"}) { group { name } errors { code } }
        }""",
        {"set": {"username": "bob", "password": PASSWORD}},
    )
    assert done.data == {
        "setUserPassword": {"user": {"username": "bob", "status": "CONFIRMED"}, "errors": []},
        "empty": {"user": None, "errors": [{"code": "INVALID_VALUE", "field": "password"}]},
        "deleteGroup": {"group": {"name": "Editors"}, "errors": []},
        "again": {"group": None, "errors": [{"code": "GROUP_NOT_FOUND"}]},
    }
    assert directory.user("bob")["UserStatus"] == "CONFIRMED"
    groups = directory.cognito.list_groups(UserPoolId=directory.pool_id)["Groups"]
    assert "Editors" not in {group["GroupName"] for group in groups}
    refused = api.send(
        """mutation { deleteGroup(input: {groupName: "Others"}) { errors { code } } }""",
        groups=("Readers",),
    )
    assert refused.codes == ["FORBIDDEN"]
    events = [json.loads(line) for line in path.read_text().splitlines()]
    user, group = {"username": "bob", "group": None}, {"username": None, "group": "Editors"}
    assert [(e["action"], e["target"], e["outcome"], e["code"]) for e in events] == [
        ("setUserPassword", user, "done", None),
        ("setUserPassword", user, "failed", "INVALID_VALUE"),
        ("deleteGroup", group, "done", None),
        ("deleteGroup", group, "failed", "GROUP_NOT_FOUND"),
        ("deleteGroup", {"username": None, "group": "Others"}, "refused", "FORBIDDEN"),
    ]
    printed = "".join(capfd.readouterr())
    assert "setUserPassword" in printed
    assert PASSWORD not in printed + path.read_text()


def test_price(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """The mutation costs its call, and what decides on it; its payload, what reads it back."""
    body = {
        "query": """mutation {
            deleteGroup(input: {groupName: "A"}) { group { description } errors { code } }
        }""",
        "extensions": {"cost": True},
    }
    scripted.on("DeleteGroup", reply({}))
    scripted.on("GetGroup", reply({"Group": {"GroupName": "A"}}))
    api = serve(scripted.url)
    headers = {"Authorization": api.token("Admins")}
    answer = api.client.post("/graphql", json=body, headers=headers).json()
    assert answer["extensions"]["cost"]["estimated"] == 4
    assert scripted.operations() == ["DeleteGroup", "GetGroup"]


def test_iam() -> None:
    """The IAM policy has the operation of the row."""
    actions = [Action.labelled("deleteGroup"), Action.labelled("setUserPassword")]
    (statement,) = iam_policy("arn", actions)["Statement"]
    assert set(statement["Action"]) == {
        "cognito-idp:AdminGetUser",
        "cognito-idp:AdminListGroupsForUser",
        "cognito-idp:AdminSetUserPassword",
        "cognito-idp:DeleteGroup",
    }
