"""Groups created, changed and deleted: on moto, and scripted where moto cannot show it."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.changes import errors_of
from tests.support.directory import Directory
from tests.support.scripted import ScriptedCognito, failure, hang_up, raw, reply

CREATE = """mutation ($input: CreateGroupInput!) {
    createGroup(input: $input) {
        group { name description precedence } errors { code message field }
    }
}"""
UPDATE = """mutation ($input: UpdateGroupInput!) {
    updateGroup(input: $input) {
        group { name description precedence roleArn } errors { code message field }
    }
}"""
DELETE = """mutation ($input: DeleteGroupInput!) {
    deleteGroup(input: $input) { deletedId deletedName errors { code message field } }
}"""
LONG = "x" * 2048
ROLE = "arn:aws:iam::123456789012:role/editors"


def ask(api: Api, document: str, **given: Any) -> Mapping[str, Any]:
    """Return the payload of a mutation."""
    (payload,) = api.send(document, {"input": given}).data.values()
    return payload  # type: ignore[no-any-return]


def endings(path: Path) -> list[tuple[str | None, str, str | None]]:
    events = [json.loads(line) for line in path.read_text().splitlines()]
    return [(event["target"]["group"], event["outcome"], event["code"]) for event in events]


# Against moto, checked by a plain client of it


def group_of(directory: Directory, name: str) -> dict[str, Any] | None:
    """Return a group as the pool has it."""
    groups = directory.cognito.list_groups(UserPoolId=directory.pool_id)["Groups"]
    return next((dict(group) for group in groups if group["GroupName"] == name), None)


def test_life_of_a_group(
    serve: Callable[..., Api], moto_url: str, directory: Directory, tmp_path: Path
) -> None:
    """Created, changed, deleted; each step shows in the pool and in the record."""
    path = tmp_path / "audit.jsonl"
    api = serve(moto_url, directory.pool_id, audit_file=path)
    created = ask(api, CREATE, groupName="Editors", description="Who edits", precedence=0)
    shown = {"name": "Editors", "description": "Who edits", "precedence": 0}
    assert created == {"group": shown, "errors": []}
    assert errors_of(ask(api, CREATE, groupName="Editors")) == [("ALREADY_EXISTS", None)]
    updated = ask(api, UPDATE, groupName="Editors", precedence=7)
    assert updated["group"] == {**shown, "precedence": 7, "roleArn": None}
    group = group_of(directory, "Editors")
    assert group is not None
    assert (group["Description"], group["Precedence"]) == ("Who edits", 7)
    deleted = ask(api, DELETE, groupName="Editors")
    assert (deleted["deletedName"], deleted["errors"]) == ("Editors", [])
    node = api.send("query ($id: ID!) { node(id: $id) { id } }", {"id": deleted["deletedId"]})
    assert node.data == {"node": None}
    assert group_of(directory, "Editors") is None
    for document, given in ((DELETE, {}), (UPDATE, {"precedence": 1})):
        missing = ask(api, document, groupName="Editors", **given)
        assert errors_of(missing) == [("GROUP_NOT_FOUND", "groupName")]
    assert endings(path) == [
        ("Editors", "done", None),
        ("Editors", "failed", "ALREADY_EXISTS"),
        ("Editors", "done", None),
        ("Editors", "done", None),
        ("Editors", "failed", "GROUP_NOT_FOUND"),
        ("Editors", "failed", "GROUP_NOT_FOUND"),
    ]


def test_role_is_kept(api: Api, directory: Directory) -> None:
    """A change leaves what it does not name as it is, the role first of all."""
    directory.add_group("Editors", Description="Who edits", Precedence=0, RoleArn=ROLE)
    done = ask(api, UPDATE, groupName="Editors", description="Who writes")
    assert done["group"] == {
        "name": "Editors",
        "description": "Who writes",
        "precedence": 0,
        "roleArn": ROLE,
    }
    group = group_of(directory, "Editors")
    assert group is not None
    assert (group["RoleArn"], group["Precedence"]) == (ROLE, 0)


def test_group_with_members(api: Api, directory: Directory) -> None:
    """It is deleted only if that was said, and its users stay."""
    directory.add_group("Editors")
    directory.add_user("bob", "Editors")
    refused = ask(api, DELETE, groupName="Editors")
    assert errors_of(refused) == [("WRONG_STATE", "groupName")]
    assert refused["deletedName"] is None
    assert directory.groups_of("bob") == {"Editors"}
    assert errors_of(ask(api, DELETE, groupName="Editors", withMembers=True)) == []
    assert directory.groups_of("bob") == set()
    assert directory.user("bob")["Enabled"] is True


def test_groups_of_the_policy(
    serve: Callable[..., Api], moto_url: str, directory: Directory, tmp_path: Path
) -> None:
    """A group that the policy names is never deleted; one that gives more is not changed."""
    for name in ("Admins", "Keepers", "Granted", "Kept", "Free"):
        directory.add_group(name)
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[groups]\nAdmins = ["*"]\nKeepers = ["createGroup", "updateGroup", "deleteGroup"]\n'
        '[grants]\nKeepers = ["Granted"]\n[protected]\ngroups = ["Kept"]\n'
    )
    api = serve(
        moto_url, directory.pool_id, policy_file=policy, audit_file=tmp_path / "audit.jsonl"
    )
    admin = api.token_of_user("Admins")
    keeper = api.token_of_user("Keepers", username="kim")

    def code(document: str, name: str, token: str, **given: Any) -> str | None:
        answer = api.send(document, {"input": {"groupName": name, **given}}, token=token)
        (payload,) = answer.partial.values()
        return payload["errors"][0]["code"] if payload["errors"] else None

    deletion, change, creation = (
        f"mutation ($input: {action[0].upper()}{action[1:]}Input!) "
        f"{{ {action}(input: $input) {{ errors {{ code }} }} }}"
        for action in ("deleteGroup", "updateGroup", "createGroup")
    )
    for token in (admin, keeper):
        for name in ("Admins", "Keepers", "Granted", "Kept"):
            assert code(deletion, name, token, withMembers=True) == "OUT_OF_SCOPE"
    assert code(change, "Admins", keeper, precedence=1) == "OUT_OF_SCOPE"
    assert code(change, "Admins", admin, precedence=1) is None
    assert code(change, "Kept", admin, precedence=1) == "OUT_OF_SCOPE"
    assert code(creation, "Admins", keeper) == "OUT_OF_SCOPE"
    assert code(creation, "Kept", admin) == "OUT_OF_SCOPE"
    assert code(creation, "New", keeper) is None
    assert code(deletion, "Free", keeper) is None
    groups = directory.cognito.list_groups(UserPoolId=directory.pool_id)["Groups"]
    names = {group["GroupName"] for group in groups}
    assert names == {"Admins", "Keepers", "Granted", "Kept", "New"}
    outcomes = [(outcome, said) for _, outcome, said in endings(tmp_path / "audit.jsonl")]
    assert set(outcomes) == {("refused", "OUT_OF_SCOPE"), ("done", None)}


def test_allowed_actions(api: Api, directory: Directory) -> None:
    """A group that is there is not offered to be created."""
    directory.add_group("Editors")
    found = api.send('{ group(name: "Editors") { allowedActions } }').data["group"]
    assert found["allowedActions"] == [
        *("addUserToGroup", "removeUserFromGroup"),
        *("updateGroup", "deleteGroup"),
    ]


# What is sent


WAS = {"GroupName": "Editors", "Description": "Who edits", "Precedence": 3, "RoleArn": ROLE}


def updated(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    was: Mapping[str, Any],
    given: str,
    replies: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any] | None, list[tuple[str, str | None]]]:
    """Change a group by literals; return what was sent to change it, and the errors."""
    scripted.on("GetGroup", reply({"Group": was}))
    scripted.on(
        "UpdateGroup",
        lambda sent: reply({"Group": {"GroupName": "Editors", **(replies or sent)}}),
    )
    api = serve(scripted.url)
    done = api.send(
        f'mutation {{ updateGroup(input: {{groupName: "Editors", {given}}}) '
        "{ errors { code field } } }"
    ).data["updateGroup"]
    sent = [each.parameters for each in scripted.requests if each.operation == "UpdateGroup"]
    assert len(sent) <= 1
    for parameters in sent:
        del parameters["UserPoolId"], parameters["GroupName"]
    return (sent[0] if sent else None), errors_of(done)


@pytest.mark.parametrize("written", ["literal", "variable", "within a variable"])
@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"description": "New"}, {"Description": "New"}),
        ({"description": None}, {"Description": ""}),
        ({"description": ""}, {"Description": ""}),
        ({"precedence": 0}, {"Precedence": 0}),
        ({"precedence": 2**31 - 1}, {"Precedence": 2**31 - 1}),
        ({"precedence": None}, {"Precedence": ...}),
        ({"description": "New", "precedence": 4}, {"Description": "New", "Precedence": 4}),
    ],
)
def test_update_as_sent(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    given: dict[str, Any],
    changed: dict[str, Any],
    written: str,
) -> None:
    """All three are sent as they are to be: null, left out and given are told apart."""
    scripted.on("GetGroup", reply({"Group": WAS}))
    scripted.on("UpdateGroup", lambda sent: reply({"Group": sent}))
    api = serve(scripted.url)
    if written == "literal":
        fields = ", ".join(f"{name}: {json.dumps(value)}" for name, value in given.items())
        answer = api.send(
            f'mutation {{ updateGroup(input: {{groupName: "Editors", {fields}}}) '
            "{ errors { code } } }"
        )
    elif written == "variable":
        answer = api.send(UPDATE, {"input": {"groupName": "Editors", **given}})
    else:
        types = {"description": "String", "precedence": "Int"}
        # A variable that is declared and not given is as if it was left out.
        answer = api.send(
            """mutation ($description: String, $precedence: Int) {
                updateGroup(input: {
                    groupName: "Editors", description: $description, precedence: $precedence
                }) { errors { code } }
            }""",
            {name: given[name] for name in types if name in given},
        )
    assert answer.data["updateGroup"]["errors"] == []
    (sent,) = [each.parameters for each in scripted.requests if each.operation == "UpdateGroup"]
    expected = {**WAS, **changed, "UserPoolId": sent["UserPoolId"]}
    assert sent == {name: value for name, value in expected.items() if value is not ...}
    assert scripted.operations() == ["GetGroup", "UpdateGroup"]


def test_what_is_not_there_is_not_sent(
    serve: Callable[..., Api], scripted: ScriptedCognito
) -> None:
    """A group without a role gets none, nor a description or a precedence."""
    sent, said = updated(serve, scripted, {"GroupName": "Editors"}, 'description: "New"')
    assert (sent, said) == ({"Description": "New"}, [])


def test_highest_precedence_is_kept(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A precedence of 0 is not none."""
    was = {"GroupName": "Editors", "Precedence": 0}
    sent, said = updated(serve, scripted, was, 'description: "New"')
    assert (sent, said) == ({"Description": "New", "Precedence": 0}, [])


@pytest.mark.parametrize("precedence", [3, 0])
@pytest.mark.parametrize(
    ("given", "ending"),
    [
        ("precedence: null", ("Editors", "failed", "WRONG_STATE")),
        ('precedence: null, description: "New"', ("Editors", "unknown", "WRONG_STATE")),
    ],
)
def test_precedence_that_stays(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    tmp_path: Path,
    given: str,
    ending: tuple[str, str, str],
    precedence: int,
) -> None:
    """Where the pool keeps a precedence that was to go, that is not called done."""
    path = tmp_path / "audit.jsonl"
    sent, said = updated(
        lambda url: serve(url, audit_file=path), scripted, WAS, given, {"Precedence": precedence}
    )
    assert sent is not None
    assert "Precedence" not in sent
    assert said == [("WRONG_STATE", "precedence")]
    assert endings(path) == [ending]


CHANGED = datetime(2026, 11, 26, 12, 0, 0, 123_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "moment",
    [
        "2026-11-26T12:00:00.123Z",
        "2026-11-26T12:00:00.123000+00:00",
        CHANGED.astimezone(timezone(timedelta(hours=-7))).isoformat(),
        CHANGED.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat(),
    ],
)
def test_as_it_was_read(serve: Callable[..., Api], scripted: ScriptedCognito, moment: str) -> None:
    """The same instant in any zone is the same."""
    was = {**WAS, "LastModifiedDate": CHANGED.timestamp() + 0.0001}
    sent, said = updated(serve, scripted, was, f'precedence: 1, ifUpdatedAt: "{moment}"')
    assert (sent or {}).get("Precedence") == 1
    assert said == []


@pytest.mark.parametrize(
    ("at", "moment"),
    [
        (CHANGED.timestamp(), "2026-11-26T12:00:00.124Z"),
        (CHANGED.timestamp(), "2026-11-26T12:00:00.123+01:00"),
        (None, "2026-11-26T12:00:00.123Z"),
    ],
)
def test_changed_since(
    serve: Callable[..., Api], scripted: ScriptedCognito, at: float | None, moment: str
) -> None:
    """What was changed after it was read is not overwritten."""
    was = {**WAS, **({} if at is None else {"LastModifiedDate": at})}
    sent, said = updated(serve, scripted, was, f'precedence: 1, ifUpdatedAt: "{moment}"')
    assert (sent, said) == (None, [("STALE", "ifUpdatedAt")])


def test_creation_as_sent(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Nothing is sent that was not given; the group shows as Cognito made it, by the same call."""
    scripted.on("CreateGroup", lambda sent: reply({"Group": sent}))
    api = serve(scripted.url)
    for given, expected in (
        ({}, {}),
        ({"description": None, "precedence": None}, {}),
        ({"description": ""}, {}),
        (
            {"description": "x" * 2048, "precedence": 0},
            {"Description": "x" * 2048, "Precedence": 0},
        ),
    ):
        scripted.requests.clear()
        done = ask(api, CREATE, groupName="Größe/Ω+1", **given)
        assert done["errors"] == []
        assert done["group"]["name"] == "Größe/Ω+1"
        (request,) = scripted.requests
        del request.parameters["UserPoolId"]
        assert request.parameters == {"GroupName": "Größe/Ω+1", **expected}


@pytest.mark.parametrize("row", [None, {}, {"GroupName": "Another"}, "Editors"])
def test_reply_without_the_group(
    serve: Callable[..., Api], scripted: ScriptedCognito, row: Any
) -> None:
    """What Cognito does not show is read."""
    scripted.on("CreateGroup", reply({"Group": row}))
    scripted.on("GetGroup", reply({"Group": {"GroupName": "Editors", "Precedence": 5}}))
    done = ask(serve(scripted.url), CREATE, groupName="Editors")
    assert done["group"]["precedence"] == 5
    assert scripted.operations() == ["CreateGroup", "GetGroup"]


# Values that cannot be


@pytest.mark.parametrize(
    ("document", "given", "field"),
    [
        (CREATE, {"precedence": -1}, "precedence"),
        (CREATE, {"description": "x" * 2049}, "description"),
        (CREATE, {"description": "n\0l"}, "description"),
        (CREATE, {"groupName": "two words"}, "groupName"),
        (CREATE, {"groupName": ""}, "groupName"),
        (CREATE, {"groupName": "x" * 129}, "groupName"),
        (UPDATE, {"precedence": -1}, "precedence"),
        (UPDATE, {"description": "x" * 2049}, "description"),
        (UPDATE, {}, None),
        (UPDATE, {"ifUpdatedAt": "2026-11-26T12:00:00Z"}, None),
        (DELETE, {"groupName": "a\tb"}, "groupName"),
    ],
)
def test_values_that_cannot_be(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    document: str,
    given: dict[str, Any],
    field: str | None,
) -> None:
    """They are refused before anything is read."""
    assert errors_of(ask(serve(scripted.url), document, **{"groupName": "Editors", **given})) == [
        ("INVALID_VALUE", field)
    ]
    assert scripted.requests == []
    assert scripted.authority == []


@pytest.mark.parametrize(
    ("document", "given"),
    [
        (CREATE, {"precedence": 2**31}),
        (CREATE, {"precedence": "1"}),
        (UPDATE, {"precedence": -(2**31) - 1}),
        (UPDATE, {"precedence": 1, "ifUpdatedAt": "yesterday"}),
        (UPDATE, {"precedence": 1, "ifUpdatedAt": "2026-11-26T12:00:00"}),
        (UPDATE, {"precedence": 1, "ifUpdatedAt": 1700000000}),
        (UPDATE, {"precedence": 1, "ifUpdatedAt": ["2026-11-26T12:00:00Z"]}),
        (DELETE, {"withMembers": None}),
        (DELETE, {"withMembers": "yes"}),
    ],
)
def test_values_of_other_types(
    serve: Callable[..., Api], scripted: ScriptedCognito, document: str, given: dict[str, Any]
) -> None:
    """They do not fit the schema, given in a variable or written into the document."""
    api = serve(scripted.url)
    answer = api.send(document, {"input": {"groupName": "Editors", **given}})
    assert answer.codes == ["BAD_USER_INPUT"]
    assert "yesterday" not in answer.response.text
    literals = ", ".join(f"{name}: {json.dumps(value)}" for name, value in given.items())
    action = document.partition("{")[2].partition("(")[0].strip()
    call = f'{action}(input: {{groupName: "Editors", {literals}}})'
    answer = api.send(f"mutation {{ {call} {{ errors {{ code }} }} }}")
    assert answer.codes == ["GRAPHQL_VALIDATION_FAILED"]
    assert "yesterday" not in answer.response.text
    assert scripted.requests == []


# Members


def page(users: list[str], token: str | None = None) -> Any:
    rows = [{"Username": name} for name in users]
    return reply({"Users": rows, **({"NextToken": token} if token else {})})


def test_empty_pages_before_a_member(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A page may be empty and have another after it: only the last one says that none is left."""
    scripted.on("ListUsersInGroup", [page([], "one"), page([], "two"), page(["bob"])])
    api = serve(scripted.url)
    assert errors_of(ask(api, DELETE, groupName="Editors")) == [("WRONG_STATE", "groupName")]
    scripted.on("ListUsersInGroup", [page([], "one"), page([])])
    scripted.on("DeleteGroup", reply({}))
    assert errors_of(ask(api, DELETE, groupName="Editors")) == []
    reads = [each.parameters for each in scripted.requests if each.operation.startswith("List")]
    assert [each.get("NextToken") for each in reads] == [None, "one", "two", None, "one"]
    assert {each["Limit"] for each in reads} == {1}


@pytest.mark.parametrize(
    "answer",
    [
        failure("InternalErrorException", 500),
        failure("AccessDeniedException"),
        reply({}),
        reply({"Users": "bob"}),
        page([], "again"),
    ],
    ids=["failed", "denied", "nothing", "nonsense", "endless"],
)
def test_members_that_cannot_be_told(
    serve: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path, answer: Any
) -> None:
    """Where it is unknown whether it has members, nothing is deleted, and that is certain."""
    scripted.on("ListUsersInGroup", answer)
    api = serve(scripted.url, audit_file=tmp_path / "audit.jsonl")
    said = api.send(DELETE, {"input": {"groupName": "Editors"}})
    assert said.codes == ["UPSTREAM_ERROR"]
    assert "DeleteGroup" not in scripted.operations()
    assert endings(tmp_path / "audit.jsonl") == [("Editors", "failed", "UPSTREAM_ERROR")]


def test_members_are_not_looked_for(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Where members do not matter, they are not read."""
    scripted.on("DeleteGroup", reply({}))
    assert errors_of(ask(serve(scripted.url), DELETE, groupName="Editors", withMembers=True)) == []
    assert scripted.operations() == ["DeleteGroup"]


# What Cognito says


@pytest.mark.parametrize(
    ("operation", "answer", "code", "outcome"),
    [
        ("CreateGroup", failure("GroupExistsException"), "ALREADY_EXISTS", "failed"),
        ("CreateGroup", failure("LimitExceededException"), "LIMIT_EXCEEDED", "failed"),
        ("CreateGroup", failure("InternalErrorException", 500), "UPSTREAM_ERROR", "unknown"),
        ("CreateGroup", hang_up(), "UPSTREAM_ERROR", "unknown"),
        ("UpdateGroup", failure("ResourceNotFoundException"), "GROUP_NOT_FOUND", "failed"),
        ("UpdateGroup", failure("InvalidAction"), "UPSTREAM_ERROR", "unknown"),
        ("UpdateGroup", raw(b"<html>", 500), "UPSTREAM_ERROR", "unknown"),
        ("UpdateGroup", failure("AccessDeniedException"), "UPSTREAM_ERROR", "failed"),
        ("DeleteGroup", failure("ResourceNotFoundException"), "GROUP_NOT_FOUND", "failed"),
        ("DeleteGroup", failure("OperationNotEnabledException"), "NOT_ENABLED", "failed"),
    ],
)
def test_what_cognito_says(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    tmp_path: Path,
    operation: str,
    answer: Any,
    code: str,
    outcome: str,
) -> None:  # fmt: skip
    """Its errors have their codes, and what it does not have is no success."""
    scripted.on("GetGroup", reply({"Group": WAS}))
    scripted.on(operation, answer)
    api = serve(scripted.url, audit_file=tmp_path / "audit.jsonl")
    document, given = {
        "CreateGroup": (CREATE, {}),
        "UpdateGroup": (UPDATE, {"precedence": 1}),
        "DeleteGroup": (DELETE, {"withMembers": True}),
    }[operation]
    said = api.send(document, {"input": {"groupName": "Editors", **given}})
    (payload,) = said.partial.values() if said.partial else ({},)
    errors = (payload or {}).get("errors", [])
    assert said.codes + [error["code"] for error in errors] == [code]
    assert scripted.operations().count(operation) == 1
    assert endings(tmp_path / "audit.jsonl") == [("Editors", outcome, code)]


@pytest.mark.parametrize("trouble", [failure("InternalErrorException", 500), hang_up()])
def test_deleted_in_doubt(
    serve: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path, trouble: Any
) -> None:
    """A group that is gone after an attempt of ours was deleted by it."""
    scripted.on("DeleteGroup", [trouble, failure("ResourceNotFoundException")])
    api = serve(scripted.url, audit_file=tmp_path / "audit.jsonl")
    done = ask(api, DELETE, groupName="Editors", withMembers=True)
    assert (done["deletedName"], done["errors"]) == ("Editors", [])
    assert endings(tmp_path / "audit.jsonl") == [("Editors", "done", None)]
