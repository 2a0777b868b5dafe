"""Devices of users: listed, forgotten, remembered; by a scripted Cognito, since moto has none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.admin.user_devices import UserDevice, _read
from tests.support.api import Api
from tests.support.changes import endings, errors_of
from tests.support.scripted import Reply, ScriptedCognito, failure, reply, user_of

KEY = "eu-west-1_0a1b2c3d-0000-4000-8000-000000000000"
CANARIES = ("203.0.113.77", "Canary Phone", KEY)
"""An IP address, a device's name and key, which must be in no log, event, metric or `repr`."""

DEVICE = {
    "DeviceKey": KEY,
    "DeviceAttributes": [
        {"Name": "device_status", "Value": "valid"},
        {"Name": "device_name", "Value": "Canary Phone"},
        {"Name": "last_ip_used", "Value": "203.0.113.77"},
        {"Name": "dev:device_arn", "Value": "arn:aws:cognito-idp:eu-west-1:111122223333:owner/x"},
        {"Name": "dev:device_remembered_status", "Value": "remembered"},
        {"Name": "something_new", "Value": "x"},
        {"Name": "empty"},
    ],
    "DeviceCreateDate": 1_700_000_000.25,
    "DeviceLastModifiedDate": 1_700_000_001,
    "DeviceLastAuthenticatedDate": 1_700_000_002,
}
LIST = """query ($first: Int, $after: String) { user(by: {username: "bob"}) { username
    devices(first: $first, after: $after) {
        nodes { key name status remembered createdAt updatedAt lastSignInAt lastIpAddress
            attributes { name value } }
        edges { cursor node { key } } pageInfo { hasNextPage endCursor }
    }
} }"""
FORGET = """mutation ($input: ForgetUserDeviceInput!) {
    done: forgetUserDevice(input: $input) { user { username } errors { code message field } }
}"""
REMEMBER = """mutation ($input: SetUserDeviceRememberedInput!) {
    done: setUserDeviceRemembered(input: $input) {
        user { username } errors { code message field }
    }
}"""


@pytest.fixture
def backend(scripted: ScriptedCognito) -> ScriptedCognito:
    """bob, and a Cognito that carries out what it is asked."""
    scripted.on("DescribeUserPool", reply({"UserPool": {}}))
    scripted.on("AdminGetUser", reply(user_of("bob")))
    for operation in ("AdminForgetDevice", "AdminUpdateDeviceStatus"):
        scripted.on(operation, reply({}))
    return scripted


def pages(rows: list[dict[str, Any]], size: int) -> Callable[[dict[str, Any]], Reply]:
    """Script pages that are no longer than `size`, by tokens that tell where they start."""

    def script(parameters: dict[str, Any]) -> Reply:
        assert parameters["Username"] == "bob"
        assert 1 <= parameters["Limit"] <= 60
        start = int(parameters.get("PaginationToken", "at-0")[3:])
        end = start + min(size, parameters["Limit"])
        more = {"PaginationToken": f"at-{end}"} if end < len(rows) else {}
        return reply({"Devices": rows[start:end], **more})

    return script


@pytest.mark.usefixtures("paths")
def test_list(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """What Cognito says of a device is shown, but nothing with the AWS account in it."""
    backend.on("AdminListDevices", reply({"Devices": [DEVICE]}))
    answer = serve(backend.url).send(LIST)
    (device,) = answer.data["user"]["devices"]["nodes"]
    assert device == {
        "key": KEY,
        "name": "Canary Phone",
        "status": "valid",
        "remembered": True,
        "createdAt": "2023-11-14T22:13:20.250Z",
        "updatedAt": "2023-11-14T22:13:21.000Z",
        "lastSignInAt": "2023-11-14T22:13:22.000Z",
        "lastIpAddress": "203.0.113.77",
        "attributes": [
            {"name": "device_status", "value": "valid"},
            {"name": "device_name", "value": "Canary Phone"},
            {"name": "last_ip_used", "value": "203.0.113.77"},
            {"name": "something_new", "value": "x"},
        ],
    }
    assert "arn:" not in answer.response.text
    assert backend.all_sent("AdminListDevices") == [{"Username": "bob", "Limit": 25}]


ODD = [
    {"DeviceKey": KEY},
    {"DeviceKey": KEY, "DeviceAttributes": "none", "DeviceCreateDate": "yesterday"},
    {"DeviceKey": KEY, "DeviceAttributes": [7, {"Name": 7}], "DeviceCreateDate": 1e300},
    {"DeviceKey": KEY, "DeviceCreateDate": 10**18, "DeviceLastModifiedDate": True},
    {"DeviceAttributes": []},
    7,
]


def test_odd_rows(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """What cannot be read of a device is null, and the others are shown."""
    backend.on("AdminListDevices", reply({"Devices": [*ODD, DEVICE]}))
    nodes = serve(backend.url).send(LIST).data["user"]["devices"]["nodes"]
    assert [node["name"] for node in nodes] == [None] * 4 + ["Canary Phone"]
    assert [node["createdAt"] is None for node in nodes] == [True] * 4 + [False]


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize("first", [1, 7, 60])
def test_each_once(serve: Callable[..., Api], backend: ScriptedCognito, first: int) -> None:
    """However short Cognito's pages are, every device comes once."""
    rows = [{"DeviceKey": f"eu-west-1_{number:x}"} for number in range(100)]
    backend.on("AdminListDevices", pages(rows, 9))
    api, found, after = serve(backend.url), [], None
    while True:
        page = api.send(LIST, {"first": first, "after": after}).data["user"]["devices"]
        found += [node["key"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        assert len(page["nodes"]) == first
        after = page["pageInfo"]["endCursor"]
    assert found == [row["DeviceKey"] for row in rows]


def test_cursor_of_another_user(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """A cursor continues the list of the user whom it is of, and nothing else."""
    rows = [{"DeviceKey": f"eu-west-1_{number:x}"} for number in range(10)]
    backend.on("AdminListDevices", pages(rows, 60))
    api = serve(backend.url)
    after = api.send(LIST, {"first": 2}).data["user"]["devices"]["pageInfo"]["endCursor"]
    backend.on("AdminGetUser", reply(user_of("eve")))
    answer = api.send(LIST.replace('"bob"', '"eve"'), {"first": 2, "after": after})
    assert answer.codes == ["INVALID_CURSOR"]
    assert len(backend.all_sent("AdminListDevices")) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("InvalidUserPoolConfigurationException", "NOT_ENABLED"),
        ("OperationNotEnabledException", "NOT_ENABLED"),
        ("NotAuthorizedException", "USER_NOT_FOUND"),
        ("ResourceNotFoundException", "USER_NOT_FOUND"),
        ("InvalidParameterException", "BAD_USER_INPUT"),
        ("InternalErrorException", "UPSTREAM_ERROR"),
    ],
)
def test_errors_of_the_list(
    serve: Callable[..., Api], backend: ScriptedCognito, error: str, code: str
) -> None:
    """The list is null, its error says why, and the user is shown anyway."""
    backend.on("AdminListDevices", failure(error, detail="arn:aws:iam::1:role/x"))
    answer = serve(backend.url).send(LIST)
    assert answer.codes == [code]
    assert answer.errors[0]["path"] == ["user", "devices"]
    assert answer.partial == {"user": {"username": "bob", "devices": None}}
    assert "arn" not in answer.response.text


@pytest.mark.usefixtures("paths")
def test_not_enabled_in_a_list_of_users(
    serve: Callable[..., Api], backend: ScriptedCognito
) -> None:
    """The list of users stays whole; each null has its error."""
    users = [{"Username": f"u{n}", "Attributes": [], "Enabled": True} for n in range(3)]
    backend.on("ListUsers", reply({"Users": users}))
    backend.on(
        "AdminListDevices",
        lambda parameters: (
            reply({"Devices": [DEVICE]})
            if parameters["Username"] == "u1"
            else failure("InvalidUserPoolConfigurationException")
        ),
    )
    answer = serve(backend.url).send(
        "{ users(first: 3) { nodes { username devices { nodes { key } } } } }"
    )
    devices = [node["devices"] for node in answer.partial["users"]["nodes"]]
    assert devices == [None, {"nodes": [{"key": KEY}]}, None]
    assert sorted((each["extensions"]["code"], each["path"]) for each in answer.errors) == [
        ("NOT_ENABLED", ["users", "nodes", 0, "devices"]),
        ("NOT_ENABLED", ["users", "nodes", 2, "devices"]),
    ]


REMEMBERED = {True: "remembered", False: "not_remembered"}


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize("literal", [True, False], ids=["literal", "variable"])
@pytest.mark.parametrize("remembered", [True, False, None])
def test_as_sent(
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    literal: bool,
    remembered: bool | None,
) -> None:
    """Exactly what Cognito takes is sent, with the username that it has for the user."""
    given: dict[str, Any] = {"username": "sub-of-bob", "deviceKey": KEY}
    document, operation, expected = FORGET, "AdminForgetDevice", {}
    if remembered is not None:
        given["remembered"] = remembered
        document, operation = REMEMBER, "AdminUpdateDeviceStatus"
        expected = {"DeviceRememberedStatus": REMEMBERED[remembered]}
    if literal:
        text = ", ".join(f"{name}: {json.dumps(value)}" for name, value in given.items())
        document = document.replace("$input)", f"{{{text}}})")
        document = "mutation" + document[document.index(" {") :]
    api = serve(backend.url)
    payload = api.send(document, None if literal else {"input": given}).data["done"]
    assert payload["errors"] == []
    # A caller with every right may forget any device, so no user has to be read for it.
    username = "bob" if remembered is not None else "sub-of-bob"
    assert backend.all_sent(operation) == [{"Username": username, "DeviceKey": KEY, **expected}]
    assert backend.operations().count(operation) == 1


@pytest.mark.parametrize(
    ("error", "code", "field"),
    [
        ("ResourceNotFoundException", "NOT_FOUND", "deviceKey"),
        ("InvalidUserPoolConfigurationException", "NOT_ENABLED", None),
        ("OperationNotEnabledException", "NOT_ENABLED", None),
        ("UserNotFoundException", "USER_NOT_FOUND", "username"),
        ("InvalidParameterException", "INVALID_VALUE", None),
        ("NotAuthorizedException", "WRONG_STATE", "username"),
    ],
)
@pytest.mark.parametrize("document", [FORGET, REMEMBER], ids=["forget", "remember"])
def test_errors_of_changes(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    document: str,
    error: str,
    code: str,
    field: str | None,
) -> None:
    """Each declared error has its code; nothing was changed."""
    for operation in ("AdminForgetDevice", "AdminUpdateDeviceStatus"):
        backend.on(operation, failure(error))
    api = serve(backend.url, audit_file=tmp_path / "audit.jsonl")
    given = {"username": "bob", "deviceKey": KEY}
    given |= {"remembered": True} if document == REMEMBER else {}
    payload = api.send(document, {"input": given}).data["done"]
    assert errors_of(payload) == [(code, field)]
    assert payload["user"] is None
    assert endings(tmp_path / "audit.jsonl") == [("failed", code)]


@pytest.mark.parametrize("key", ["", "x", "a" * 60 + "_0", "eu_0 ", "eu_0\n", "ü_0", "eu_G"])
def test_keys_that_cannot_be(serve: Callable[..., Api], backend: ScriptedCognito, key: str) -> None:
    """They are refused before anything is read."""
    answer = serve(backend.url).send(FORGET, {"input": {"username": "bob", "deviceKey": key}})
    assert errors_of(answer.data["done"]) == [("INVALID_VALUE", "deviceKey")]
    assert backend.requests == []
    assert backend.authority == []


def test_personal_values_are_nowhere(
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """No IP address, name or key of a device is in a log, event, metric or `repr`."""
    backend.on("AdminListDevices", reply({"Devices": [*ODD, DEVICE]}))
    path = tmp_path / "audit.jsonl"
    api = serve(backend.url, audit_file=path)
    assert "Canary Phone" in api.send(LIST).response.text
    given = {"username": "bob", "deviceKey": KEY}
    api.send(FORGET, {"input": given})
    backend.on("AdminForgetDevice", failure("ResourceNotFoundException", detail=str(CANARIES)))
    refused = api.send(FORGET, {"input": given})
    backend.on("AdminUpdateDeviceStatus", failure("InternalErrorException", 500, detail=KEY))
    failed = api.send(REMEMBER, {"input": {**given, "remembered": True}})
    device: UserDevice = _read(DEVICE)
    logged = capfd.readouterr()
    texts = [logged.out, logged.err, path.read_text(), refused.response.text, failed.response.text]
    texts += [repr(device), repr(device.attributes), api.client.get("/metrics").text]
    assert len(endings(path)) == 3
    assert [each for each in CANARIES for text in texts if each in text] == []
