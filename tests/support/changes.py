"""Changes of users and groups as clients ask for them: each action, by each way to it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from graphql import get_nullable_type, is_enum_type, is_input_object_type

from graphql_admin.actions import Action
from graphql_admin.targets import TargetKind
from graphql_admin.web.amplify import ADMIN_QUERIES
from tests.support.api import Api
from tests.support.ways import IDENTITY, SCHEMA, SESSION_ID, is_required

STATUSES = {"OUT_OF_SCOPE": 403, "OWN_ACCOUNT": 403, "FORBIDDEN": 403, "CONFLICT": 409}
"""HTTP statuses of refusals over REST."""

OPTIONAL = frozenset({"precedence", "fullName", "sms"})
"""Input fields that are given too, although each may be left out, since an update names one."""

NAMED: dict[str, str | None] = {
    "deviceKey": "eu-west-1_0a",
    "sessionId": SESSION_ID,
    "userId": IDENTITY,
}
"""Values of input fields that must be of a form, or be there."""

SAMPLES_BY_TYPE: dict[str, Any] = {"Boolean": True, "Int": 1, "String": "sample"}
"""Values of input fields that name no target, by their types."""


def ways_to(action: Action) -> list[str]:
    """Return the ways by which a change can be asked for."""
    return ["graphql", "rest"] if action in ADMIN_QUERIES else ["graphql"]


def is_on_group(action: Action) -> bool:
    """Tell whether an action's input names a group."""
    return action.target in {TargetKind.GROUP, TargetKind.MEMBERSHIP}


def is_on_user(action: Action) -> bool:
    """Tell whether an action's input names a user."""
    return action.target in {TargetKind.USER, TargetKind.MEMBERSHIP}


def input_type(action: Action) -> Any:
    """Return the input type of an action's mutation."""
    field = SCHEMA.graphql_schema.mutation_type.fields[action.label]
    return get_nullable_type(field.args["input"].type)


def input_of(action: Action, user: str | None, group: str | None) -> dict[str, Any]:
    """Return an input of an action's mutation: the target, and samples of what else it takes."""
    named = {"username": user, "groupName": group, **NAMED}
    fields = input_type(action).fields
    return {
        name: named[name] if name in named else _sample(field.type)
        for name, field in fields.items()
        if is_required(field) or named.get(name) is not None or name in OPTIONAL
    }


def _sample(type_: Any) -> Any:
    type_ = get_nullable_type(type_)
    if is_enum_type(type_):
        return next(iter(type_.values))
    if is_input_object_type(type_):
        required = {name: each for name, each in type_.fields.items() if is_required(each)}
        return {name: _sample(each.type) for name, each in required.items()}
    return SAMPLES_BY_TYPE[type_.name]


def document_of(action: Action, selection: str = "errors { code field }") -> str:
    """Return a document that asks for a change, with its input in `$input`."""
    return f"""mutation ($input: {input_type(action).name}!) {{
        done: {action.label}(input: $input) {{ {selection} }}
    }}"""


def ask(
    api: Api,
    way: str,
    action: Action | str,
    user: str | None = None,
    group: str | None = None,
    *,
    token: str,
) -> str | None:
    """Ask for a change; return the code of the error that came of it, if one did."""
    action = Action.labelled(action) if isinstance(action, str) else action
    if way == "rest":
        return _ask_by_rest(api, action, user, group, token)
    answer = api.send(document_of(action), {"input": input_of(action, user, group)}, token=token)
    if answer.codes:
        return str(answer.codes[0])
    for error in answer.data["done"]["errors"]:
        if error["code"] in {"OUT_OF_SCOPE", "OWN_ACCOUNT"}:
            assert error["field"] in {"username", "groupName"}
        return str(error["code"])
    return None


def _ask_by_rest(
    api: Api, action: Action, user: str | None, group: str | None, token: str
) -> str | None:
    names = {"username": user, "groupname": group}
    answer = api.client.post(
        f"/AdminQueries/{action.label}",
        json={name: value for name, value in names.items() if value is not None},
        headers={"Authorization": token},
    )
    code: str | None = answer.json().get("code")
    assert (code is None) == (answer.status_code == 200)
    assert answer.status_code == STATUSES.get(str(code), answer.status_code)
    return code


def endings(path: Path) -> list[tuple[str, str | None]]:
    """Return how the attempts ended, as they are recorded in a file of events."""
    return [(event["outcome"], event["code"]) for event in events_in(path)]


def events_in(path: Path) -> list[dict[str, Any]]:
    """Return the events that a file has."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def errors_of(payload: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """Return the codes and fields of a payload's errors."""
    return [(error["code"], error["field"]) for error in payload["errors"]]


def go_without_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let servers that start from now on execute every operation by graphql-core alone."""
    module = "graphql_admin.admin.schema"
    monkeypatch.setattr(f"{module}.other_versions", lambda: {"graphql-core": "0"})
    monkeypatch.setattr(f"{module}.plans_hold", lambda *_: False)
