"""Users created: on moto, and scripted where moto cannot show it."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.changes import errors_of, events_in
from tests.support.directory import Directory
from tests.support.leaks import PASSWORD
from tests.support.scripted import Reply, ScriptedCognito, failure, half, hang_up, held, raw, reply
from tests.support.tokens import ABSENT, CLIENT_ID

CREATE = """mutation ($input: CreateUserInput!) {
    createUser(input: $input) {
        user { id username sub email fullName status enabled } invited
        errors { code message field }
    }
}"""
KEY = """mutation ($input: CreateUserInput!) {
    createUser(input: $input) { user { username } invited errors { code message field } }
}"""


ERRORS = """mutation ($input: CreateUserInput!) {
    createUser(input: $input) { errors { code field } }
}"""


def ask(api: Api, document: str = KEY, *, token: str | None = None, **given: Any) -> Any:
    """Return the payload of a creation, of bob unless `username` says otherwise."""
    sent = api.send(document, {"input": {"username": "bob", **given}}, token=token)
    return sent.data["createUser"]


# Against moto, checked by a plain client of it


def usernames(directory: Directory) -> list[str]:
    users = directory.cognito.list_users(UserPoolId=directory.pool_id)["Users"]
    return sorted(user["Username"] for user in users)


def test_user_is_created(
    serve: Callable[..., Api], moto_url: str, directory: Directory, tmp_path: Path
) -> None:
    """The user is there with what was given, shown as Cognito made them, and recorded."""
    path = tmp_path / "audit.jsonl"
    directory.cognito.add_custom_attributes(
        UserPoolId=directory.pool_id,
        CustomAttributes=[{"Name": "badge", "AttributeDataType": "String", "Mutable": False}],
    )
    api = serve(moto_url, directory.pool_id, audit_file=path)
    given = {"email": "bob@example.com", "emailVerified": True, "fullName": "Bob", "givenName": ""}
    badge = {"attributes": [{"name": "custom:badge", "value": "7"}]}
    done = ask(api, CREATE, **given, **badge, familyName=None, temporaryPassword=PASSWORD)
    found = directory.attributes_of("bob")
    user = done["user"]
    assert (done["errors"], done["invited"]) == ([], False)
    assert (user["username"], user["sub"], user["enabled"]) == ("bob", found.pop("sub"), True)
    assert (user["email"], user["fullName"]) == ("bob@example.com", "Bob")
    assert user["status"] == directory.user("bob")["UserStatus"] == "FORCE_CHANGE_PASSWORD"
    assert found == {
        "email": "bob@example.com",
        "email_verified": "true",
        "name": "Bob",
        "custom:badge": "7",
    }
    (event,) = events_in(path)
    assert (event["target"], event["outcome"]) == ({"username": "bob", "group": None}, "done")
    assert event["attributes"] == ["custom:badge", "email", "email_verified", "name"]
    assert "Bob" not in path.read_text()
    node = api.send("query ($id: ID!) { node(id: $id) { id } }", {"id": user["id"]})
    assert node.data == {"node": {"id": user["id"]}}


def test_user_who_is_there(api: Api, directory: Directory) -> None:
    """Nothing is done to them."""
    directory.add_user("bob", name="Bob")
    before = directory.user("bob")["UserAttributes"]
    done = ask(api, fullName="Eve")
    assert errors_of(done) == [("ALREADY_EXISTS", "username")]
    assert (done["user"], done["invited"]) == (None, None)
    assert directory.user("bob")["UserAttributes"] == before


def test_temporary_password(api: Api, directory: Directory) -> None:
    """The user signs in with it, once."""
    assert errors_of(ask(api, temporaryPassword=PASSWORD)) == []
    cognito, pool_id = directory.cognito, directory.pool_id
    client = cognito.create_user_pool_client(
        UserPoolId=pool_id,
        ClientName="app",
        ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    )["UserPoolClient"]["ClientId"]
    signed_in = cognito.admin_initiate_auth(
        UserPoolId=pool_id,
        ClientId=client,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "bob", "PASSWORD": PASSWORD},
    )
    assert signed_in["ChallengeName"] == "NEW_PASSWORD_REQUIRED"


@pytest.fixture
def addresses(cognito: Any) -> Directory:
    """A pool whose usernames are e-mail addresses."""
    pool = cognito.create_user_pool(PoolName="addresses", UsernameAttributes=["email"])
    return Directory(cognito, pool["UserPool"]["Id"])


@pytest.mark.parametrize("given", [{}, {"email": "Bob@example.com"}, {"email": "bob@example.com"}])
def test_pool_of_addresses(
    serve: Callable[..., Api],
    moto_url: str,
    addresses: Directory,
    tmp_path: Path,
    given: dict[str, str],
) -> None:
    """The username is the one that the pool gave, and never the address."""
    root = addresses.add_user("root@example.com")
    addresses.add_group("Admins")
    addresses.cognito.admin_add_user_to_group(
        UserPoolId=addresses.pool_id, Username="root@example.com", GroupName="Admins"
    )
    api = serve(moto_url, addresses.pool_id, audit_file=tmp_path / "audit.jsonl")
    token = api.token("Admins", username=root, sub=root)
    for document in (CREATE, KEY):
        name = f"bob{len(document)}@example.com"
        address = {"email": given["email"].replace("ob@", f"ob{len(document)}@")} if given else {}
        done = ask(api, document, token=token, username=name, **address)
        assert done["errors"] == []
        found = addresses.user(name)
        assert done["user"]["username"] == found["Username"] != name
        assert addresses.attributes_of(name)["email"].lower() == name
        event = events_in(tmp_path / "audit.jsonl")[-1]
        assert (event["target"]["username"], event["attributes"]) == (found["Username"], ["email"])
    assert "bob" not in (tmp_path / "audit.jsonl").read_text()
    refused = ask(api, token=token, username="eve@example.com", email="ada@example.com")
    assert errors_of(refused) == [("INVALID_VALUE", "email")]
    assert len(usernames(addresses)) == 3


POLICY = """
[groups]
Admins = ["*"]
Support = ["createUser", "getUser"]
Makers = ["createUser"]
Readers = ["getUser"]
[scopes]
"api/provision" = ["createUser", "getUser"]
"api/read" = ["getUser"]
[writes]
Support = ["email", "name"]
Makers = []
"api/provision" = ["phone_number"]
"""


def test_who_may_create_whom(
    serve: Callable[..., Api], moto_url: str, directory: Directory, tmp_path: Path
) -> None:
    """Who has the action creates users, with the attributes of `[writes]`; a machine may too."""
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    api = serve(moto_url, directory.pool_id, policy_file=policy, authority_max_age="0")

    def machine(scope: str) -> str:
        return api.token(sub=CLIENT_ID, scope=scope, username=ABSENT, **{"cognito:groups": ABSENT})

    support = api.token_of_user("Support", username="sue")
    maker = api.token_of_user("Makers", username="max")
    reader = api.token_of_user("Readers", username="rita")
    email = {"email": "u@example.com", "emailVerified": True}
    phone = {"phoneNumber": "+15550100", "phoneNumberVerified": True}
    for name, token, given, expected in (
        ("u1", support, email, []),
        ("u2", support, {**email, **phone}, [("INVALID_VALUE", "phoneNumber")]),
        ("u3", maker, {}, []),
        ("u4", maker, {"fullName": "U"}, [("INVALID_VALUE", "fullName")]),
        ("u5", maker, {"fullName": None, "givenName": ""}, []),
        ("u6", machine("api/provision"), phone, []),
        ("u7", machine("api/provision"), email, [("INVALID_VALUE", "email")]),
    ):
        document = CREATE if token is support else ERRORS
        assert errors_of(ask(api, document, token=token, username=name, **given)) == expected, name
    for token in (reader, machine("api/read")):
        assert api.send(KEY, {"input": {"username": "u8"}}, token=token).codes == ["FORBIDDEN"]
    created = {name for name in usernames(directory) if name.startswith("u")}
    assert created == {"u1", "u3", "u5", "u6"}
    assert directory.groups_of("u1") == set()


@pytest.mark.parametrize("pool", [{"usernames": ["email"]}, {}, None])
@pytest.mark.parametrize("group", ["Support", "Makers", "Admins"])
def test_who_may_set_the_address_that_is_the_username(
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    pool: dict[str, Any] | None,
    group: str,
) -> None:
    """It is an attribute where the pool says so; where the pool cannot be read, it may be."""
    policy, path = tmp_path / "policy.toml", tmp_path / "audit.jsonl"
    policy.write_text(POLICY)
    reads = failure("AccessDeniedException") if pool is None else described(**pool)
    backend.on("DescribeUserPool", reads)
    backend.people["max"] = (group,)
    api = serve(backend.url, policy_file=policy, audit_file=path)
    token = api.token(group, username="max")
    done = ask(api, ERRORS, token=token, username="b@x.org")
    is_attribute = pool != {}
    is_refused = is_attribute and group == "Makers"
    assert errors_of(done) == ([("INVALID_VALUE", "username")] if is_refused else [])
    assert len(backend.all_sent("AdminCreateUser")) == (not is_refused)
    (event,) = events_in(path)
    assert event["outcome"] == ("failed" if is_refused else "done")
    assert event.get("attributes", []) == (["email"] if is_attribute else [])


def test_beyond_the_key(
    serve: Callable[..., Api], moto_url: str, directory: Directory, tmp_path: Path
) -> None:
    """What was created is shown to callers who may read it; the username to who created it."""
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    api = serve(moto_url, directory.pool_id, policy_file=policy)
    token = api.token_of_user("Makers", username="max")
    assert ask(api, token=token, username="u1")["user"] == {"username": "u1"}
    sent = api.send(CREATE, {"input": {"username": "u2"}}, token=token)
    assert sent.codes == ["FORBIDDEN"]
    assert sent.partial["createUser"]["user"] is None
    assert {"u1", "u2"} <= set(usernames(directory))


# What is sent


def row(username: str = "bob", **attributes: str) -> dict[str, Any]:
    """Return a user as AdminCreateUser replies with one."""
    given = {"sub": "sub-of-bob", **attributes}
    return {
        "Username": username,
        "Attributes": [{"Name": name, "Value": value} for name, value in given.items()],
        "UserCreateDate": time.time(),
        "Enabled": True,
        "UserStatus": "FORCE_CHANGE_PASSWORD",
    }


def there(
    username: str = "bob", *, ago: float = 0.0, **attributes: str
) -> Callable[[dict[str, Any]], Reply]:
    """Reply as AdminGetUser does of a user who was made so many seconds before it is asked."""

    def tell(_: dict[str, Any]) -> Reply:
        user = row(username, **attributes)
        user["UserCreateDate"] -= ago
        return reply({**user, "UserAttributes": user.pop("Attributes")})

    return tell


ABSENT_USER = failure("UserNotFoundException")


STANDARD = (
    "email",
    "email_verified",
    "phone_number",
    "phone_number_verified",
    "name",
    "preferred_username",
)


def described(
    *names: str,
    aliases: Any = (),
    usernames: Any = (),
    required: Any = (),
    mutable: bool = False,
) -> Reply:
    rows = [{"Name": name} for name in STANDARD if name not in required]
    rows += [{"Name": name, "Mutable": False} for name in names]
    rows += [{"Name": name, "Mutable": mutable, "Required": True} for name in required]
    pool = {"SchemaAttributes": rows}
    return reply(
        {"UserPool": {**pool, "AliasAttributes": aliases, "UsernameAttributes": usernames}}
    )


@pytest.fixture
def backend(scripted: ScriptedCognito) -> ScriptedCognito:
    """A pool that creates whom it is told to."""
    scripted.on("DescribeUserPool", described("custom:badge"))
    scripted.on("AdminCreateUser", lambda sent: reply({"User": row(sent["Username"])}))
    return scripted


BOB = {"Username": "bob"}
SILENT = {**BOB, "MessageAction": "SUPPRESS"}
MAIL = {"email": "b@x.org"}
PHONE = {"phoneNumber": "+15550100"}
BY_MAIL: dict[str, list[Any]] = {
    "DesiredDeliveryMediums": ["EMAIL"],
    "UserAttributes": [{"Name": "email", "Value": "b@x.org"}],
}
BY_SMS: dict[str, list[Any]] = {
    "DesiredDeliveryMediums": ["SMS"],
    "UserAttributes": [{"Name": "phone_number", "Value": "+15550100"}],
}


@pytest.mark.parametrize(
    ("given", "parameters", "invited"),
    [
        ({}, SILENT, False),
        ({"inviteBy": []}, SILENT, False),
        ({"inviteBy": ["EMAIL"], **MAIL}, {**BOB, **BY_MAIL}, True),
        ({"inviteBy": "SMS", **PHONE}, {**BOB, **BY_SMS}, True),
        (
            {"inviteBy": ["SMS", "EMAIL", "SMS"], **PHONE, **MAIL},
            {
                **BOB,
                "DesiredDeliveryMediums": ["SMS", "EMAIL"],
                "UserAttributes": BY_MAIL["UserAttributes"] + BY_SMS["UserAttributes"],
            },
            True,
        ),
        ({"temporaryPassword": PASSWORD}, {**SILENT, "TemporaryPassword": PASSWORD}, False),
        (
            {"temporaryPassword": PASSWORD, "inviteBy": ["EMAIL"], **MAIL},
            {**BOB, **BY_MAIL, "TemporaryPassword": PASSWORD},
            True,
        ),
        ({"temporaryPassword": None}, SILENT, False),
        ({"fullName": "", "email": None, "attributes": []}, SILENT, False),
        (
            {"email": "b@x.org", "fullName": "B"},
            {
                **SILENT,
                "UserAttributes": [
                    {"Name": "email", "Value": "b@x.org"},
                    {"Name": "name", "Value": "B"},
                ],
            },
            False,
        ),
        (
            {"emailVerified": False, "attributes": [{"name": "custom:badge", "value": "7"}]},
            {
                **SILENT,
                "UserAttributes": [
                    {"Name": "email_verified", "Value": "false"},
                    {"Name": "custom:badge", "Value": "7"},
                ],
            },
            False,
        ),
    ],
)
def test_creation_as_sent(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    given: dict[str, Any],
    parameters: dict[str, Any],
    invited: bool,
) -> None:
    """Whether to send a message is always said: Cognito's own default would send one by SMS."""
    done = ask(serve(backend.url, audit_file=tmp_path / "audit.jsonl"), **given)
    assert (done["errors"], done["invited"]) == ([], invited)
    assert backend.all_sent("AdminCreateUser") == [parameters]
    # The user is as the reply has them: nothing is read back.
    assert backend.operations() == ["DescribeUserPool", "AdminCreateUser"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"username": ""}, "username"),
        ({"username": "a b"}, "username"),
        ({"username": "x" * 129}, "username"),
        ({"temporaryPassword": ""}, "temporaryPassword"),
        ({"temporaryPassword": "a" * 257}, "temporaryPassword"),
        ({"temporaryPassword": "two words"}, "temporaryPassword"),
        ({"temporaryPassword": "n\0l"}, "temporaryPassword"),
        ({"fullName": "x" * 2049}, "fullName"),
        ({"attributes": [{"name": "sub", "value": "x"}]}, "attributes.sub"),
        ({"attributes": [{"name": "email", "value": "x"}]}, "attributes.email"),
        ({"attributes": [{"name": "locale"}]}, "attributes.locale"),
        ({"emailVerified": True}, "emailVerified"),
        ({"emailVerified": True, "email": None, **PHONE}, "emailVerified"),
        ({"inviteBy": ["EMAIL"]}, "email"),
        ({"inviteBy": ["EMAIL"], "email": ""}, "email"),
        ({"inviteBy": ["EMAIL"], **PHONE}, "email"),
        ({"inviteBy": ["EMAIL", "SMS"], **MAIL}, "phoneNumber"),
    ],
)
def test_values_that_cannot_be(
    serve: Callable[..., Api], scripted: ScriptedCognito, given: dict[str, Any], field: str
) -> None:
    """They are refused before anything is read."""
    assert errors_of(ask(serve(scripted.url), **given)) == [("INVALID_VALUE", field)]
    assert scripted.requests == scripted.authority == []


@pytest.mark.parametrize(
    "given", [{"inviteBy": ["PIGEON"]}, {"inviteBy": None}, {"temporaryPassword": 12345678}]
)
def test_values_of_other_types(
    serve: Callable[..., Api], scripted: ScriptedCognito, given: dict[str, Any]
) -> None:
    """They do not fit the schema."""
    sent = serve(scripted.url).send(KEY, {"input": {"username": "bob", **given}})
    assert sent.codes == ["BAD_USER_INPUT"]
    assert scripted.requests == []


@pytest.mark.parametrize(
    ("pool", "given", "field"),
    [
        ({"aliases": ["email"]}, {"username": "bob@example.com"}, "username"),
        ({"aliases": ["phone_number"]}, {"username": "+15550100"}, "username"),
        ({"aliases": ["phone_number"]}, {"username": "bob@example.com"}, None),
        ({"aliases": ["email"]}, {"username": "bob@", "fullName": "B"}, None),
        ({}, {"username": "bob@example.com"}, None),
        ({"usernames": ["email"]}, {"username": "b@x.org", "email": "B@x.org"}, None),
        ({"usernames": ["email"]}, {"username": "b@x.org", "email": "c@x.org"}, "email"),
        ({"usernames": ["email"]}, {"username": "bob"}, "username"),
        ({"usernames": ["email"]}, {"username": "+15550100"}, "username"),
        ({"usernames": ["email", "phone_number"]}, {"username": "+15550100"}, None),
        ({"usernames": ["email"]}, {"username": "b@x.org", "phoneNumber": "+15550100"}, None),
        (
            {"usernames": ["email", "phone_number"]},
            {"username": "+15550100", "phoneNumber": "+15550101"},
            "phoneNumber",
        ),
        (
            {"usernames": ["email", "phone_number"]},
            {"username": "+15550100", "email": "c@x.org"},
            None,
        ),
        ({"aliases": ["preferred_username"]}, {"preferredUsername": "BOB"}, "preferredUsername"),
        ({"aliases": ["preferred_username"]}, {"preferredUsername": "bobby"}, None),
        ({"aliases": ["email"]}, {"preferredUsername": "bob"}, None),
        ({}, {"attributes": [{"name": "custom:other", "value": "x"}]}, "attributes.custom:other"),
        ({"usernames": ["email"]}, {"username": "b@x.org", "inviteBy": ["EMAIL"]}, None),
        ({"usernames": ["email"]}, {"username": "b@x.org", "inviteBy": ["SMS"]}, "phoneNumber"),
        ({"usernames": ["phone_number"]}, {"username": "+15550100", "inviteBy": ["SMS"]}, None),
        ({}, {"username": "b@x.org", "inviteBy": ["EMAIL"]}, "email"),
        ({"usernames": ["email"]}, {"username": "b@x.org", "emailVerified": True}, None),
        (
            {"usernames": ["email"]},
            {"username": "b@x.org", "phoneNumberVerified": True},
            "phoneNumberVerified",
        ),
        ({}, {"username": "b@x.org", "emailVerified": True}, "emailVerified"),
        ({}, {"username": "b@x.org", "emailVerified": False}, None),
        ({"aliases": ["phone_number"]}, {"username": "b@x.org", "inviteBy": ["EMAIL"]}, "email"),
        ({"required": ["custom:badge"]}, {}, "attributes.custom:badge"),
        ({"required": ["given_name"]}, {"givenName": ""}, "givenName"),
        ({"required": ["email"]}, {}, "email"),
        ({"required": ["email"]}, {"email": "b@x.org"}, None),
        ({"required": ["email"], "usernames": ["email"]}, {"username": "b@x.org"}, None),
        ({"required": ["sub", "dev:custom:old", "identities"]}, {}, None),
        ({"required": ["locale"], "mutable": True}, {}, None),
    ],
)
def test_names_by_the_pool(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    pool: dict[str, Any],
    given: dict[str, Any],
    field: str | None,
) -> None:
    """What the pool would take for another's address is no username, and has no other address."""
    backend.on("DescribeUserPool", described(**pool))
    api = serve(backend.url, audit_file=tmp_path / "audit.jsonl")
    assert errors_of(ask(api, **given)) == ([("INVALID_VALUE", field)] if field else [])
    assert len(backend.all_sent("AdminCreateUser")) == (field is None)


def test_alias_of_another(serve: Callable[..., Api], backend: ScriptedCognito) -> None:
    """A verified address is not taken from the user who has it."""
    backend.on("DescribeUserPool", described(aliases=["email"]))
    holder = row("eve", email="e@x.org", email_verified="true")
    backend.on("ListUsers", reply({"Users": [holder]}))
    api = serve(backend.url)
    for verified, code in ((True, [("ALREADY_EXISTS", "email")]), (False, [])):
        assert errors_of(ask(api, email="e@x.org", emailVerified=verified)) == code
    assert len(backend.all_sent("AdminCreateUser")) == 1
    assert "ForceAliasCreation" not in backend.all_sent("AdminCreateUser")[0]


# What Cognito says


@pytest.mark.parametrize(
    ("error", "code", "field"),
    [
        ("UsernameExistsException", "ALREADY_EXISTS", "username"),
        ("InvalidPasswordException", "PASSWORD_REJECTED", "temporaryPassword"),
        ("InvalidParameterException", "INVALID_VALUE", None),
        ("PreconditionNotMetException", "NOT_ENABLED", None),
        ("UserLambdaValidationException", "REJECTED_BY_TRIGGER", None),
    ],
)
def test_what_cognito_says(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    error: str,
    code: str,
    field: str | None,
) -> None:
    """Its errors have their codes and fields, and none of its words."""
    path = tmp_path / "audit.jsonl"
    backend.on("AdminCreateUser", failure(error, detail="arn:aws:iam::1:role/x secret"))
    done = ask(serve(backend.url, audit_file=path))
    assert errors_of(done) == [(code, field)]
    assert "secret" not in json.dumps(done)
    assert (done["user"], done["invited"]) == (None, None)
    assert backend.operations() == ["DescribeUserPool", "AdminCreateUser"]
    assert [(each["outcome"], each["code"]) for each in events_in(path)] == [("failed", code)]


def test_invitation_that_was_not_sent(
    serve: Callable[..., Api], backend: ScriptedCognito, tmp_path: Path
) -> None:
    """The user was created, and that is what counts."""
    path = tmp_path / "audit.jsonl"
    backend.on("AdminCreateUser", failure("CodeDeliveryFailureException"))
    backend.on("AdminGetUser", there(email="b@x.org"))
    api = serve(backend.url, audit_file=path)
    done = ask(api, CREATE, email="b@x.org", inviteBy=["EMAIL"])
    assert (done["errors"], done["invited"]) == ([], False)
    assert (done["user"]["username"], done["user"]["sub"]) == ("bob", "sub-of-bob")
    assert backend.operations() == ["DescribeUserPool", "AdminCreateUser", "AdminGetUser"]
    assert [each["outcome"] for each in events_in(path)] == ["done"]


@pytest.mark.parametrize("answer", [ABSENT_USER, failure("InternalErrorException", 500)])
def test_invitation_that_was_not_sent_to_who_is_not_seen(
    serve: Callable[..., Api], backend: ScriptedCognito, tmp_path: Path, answer: Reply
) -> None:
    """Who cannot be shown may have been created: so it is said, and recorded."""
    path = tmp_path / "audit.jsonl"
    backend.on("AdminCreateUser", failure("CodeDeliveryFailureException"))
    backend.on("AdminGetUser", answer)
    done = ask(serve(backend.url, audit_file=path), inviteBy=["EMAIL"], **MAIL)
    assert errors_of(done) == [("DELIVERY_FAILED", None)]
    assert [(each["outcome"], each["code"]) for each in events_in(path)] == [
        ("unknown", "DELIVERY_FAILED")
    ]
    assert len(backend.all_sent("AdminCreateUser")) == 1


# In doubt


NEVER = threading.Event()
DOUBT = {
    "500": failure("InternalErrorException", 500),
    "not JSON": raw(b"<html>", 502),
    "half": half(reply({"User": row()})),
    "hang-up": hang_up(),
    "timeout": held(NEVER, reply({})),
    "without the user": reply({}),
    "without a name": reply({"User": {"Attributes": []}}),
}
ASKED = {"email": "b@x.org", "emailVerified": True, "fullName": "Bob"}
MADE = {"email": "b@x.org", "email_verified": "true", "name": "Bob"}


@pytest.fixture
def doubtful(serve: Callable[..., Api], backend: ScriptedCognito, tmp_path: Path) -> Api:
    """A server with an event log, and a deadline that leaves time to look again."""
    return serve(backend.url, audit_file=tmp_path / "audit.jsonl", deadline=7)


@pytest.mark.parametrize("trouble", DOUBT)
@pytest.mark.parametrize("invite", [[], ["EMAIL"]])
def test_created_in_doubt(
    doubtful: Api, backend: ScriptedCognito, tmp_path: Path, trouble: str, invite: list[str]
) -> None:
    """A user who is there, new and as asked for, was created: it is not tried again."""
    backend.on("AdminCreateUser", DOUBT[trouble])
    backend.on("AdminGetUser", there(**MADE, locale="de", ago=40.0))
    done = ask(doubtful, CREATE, **ASKED, inviteBy=invite)
    assert (done["errors"], done["invited"]) == ([], None)
    assert (done["user"]["username"], done["user"]["fullName"]) == ("bob", "Bob")
    assert len(backend.all_sent("AdminCreateUser")) == 1
    (event,) = events_in(tmp_path / "audit.jsonl")
    assert (event["outcome"], event["code"]) == ("done", None)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ExpiredTokenException"])
def test_call_that_aws_rejects(
    doubtful: Api, backend: ScriptedCognito, tmp_path: Path, code: str
) -> None:
    """AWS has created no user then: one who is there is another, however new."""
    backend.on("AdminCreateUser", failure(code))
    backend.on("AdminGetUser", there())
    assert doubtful.send(KEY, {"input": {"username": "bob"}}).codes == ["UPSTREAM_ERROR"]
    assert backend.operations() == ["DescribeUserPool", "AdminCreateUser"]
    (event,) = events_in(tmp_path / "audit.jsonl")
    assert (event["outcome"], event["code"]) == ("failed", "UPSTREAM_ERROR")


def test_created_in_doubt_in_another_case(doubtful: Api, backend: ScriptedCognito) -> None:
    """The pool may take the username for the address, in its letter case."""
    backend.on("DescribeUserPool", described(usernames=["email"]))
    backend.on("AdminCreateUser", DOUBT["500"])
    backend.on("AdminGetUser", there("sub-of-bob", email="b@x.org"))
    done = ask(doubtful, username="b@x.org", email="B@x.org")
    assert (done["errors"], done["user"]["username"]) == ([], "sub-of-bob")


@pytest.mark.parametrize(
    "found",
    [
        there(**MADE, ago=61.0),
        there(**MADE, ago=3600.0),
        there(**{**MADE, "name": "Eve"}),
        there(email="b@x.org", email_verified="true"),
        there("eve", **MADE),
        reply({"Username": "bob", "UserAttributes": []}),
    ],
    ids=["a minute old", "older", "another name", "without a name", "an alias of eve", "undated"],
)
def test_namesake(doubtful: Api, backend: ScriptedCognito, tmp_path: Path, found: Any) -> None:
    """A user who was there before, or is another, was not created by this."""
    backend.on("AdminCreateUser", DOUBT["500"])
    backend.on("AdminGetUser", found)
    done = ask(doubtful, **ASKED)
    assert errors_of(done) == [("ALREADY_EXISTS", "username")]
    assert done["user"] is None
    assert len(backend.all_sent("AdminCreateUser")) == 1
    (event,) = events_in(tmp_path / "audit.jsonl")
    assert (event["outcome"], event["code"]) == ("failed", "ALREADY_EXISTS")


@pytest.mark.parametrize("trouble", ["500", "hang-up", "timeout"])
@pytest.mark.parametrize("found", ["none", "fails", "denied", "nonsense"])
def test_still_in_doubt(
    doubtful: Api, backend: ScriptedCognito, tmp_path: Path, trouble: str, found: str
) -> None:
    """Where no such user is seen, the error says that there may be one, and so does the event."""
    backend.on("AdminCreateUser", DOUBT[trouble])
    backend.on(
        "AdminGetUser",
        {
            "none": ABSENT_USER,
            "fails": failure("InternalErrorException", 500),
            "denied": failure("AccessDeniedException"),
            "nonsense": reply({"Username": 7}),
        }[found],
    )
    code = "TIMEOUT" if trouble == "timeout" else "UPSTREAM_ERROR"
    answer = doubtful.send(KEY, {"input": {"username": "bob"}})
    assert answer.codes == [code]
    assert len(backend.all_sent("AdminCreateUser")) == 1
    (event,) = events_in(tmp_path / "audit.jsonl")
    assert (event["outcome"], event["code"]) == ("unknown", code)


def test_time_is_kept_to_look(
    serve: Callable[..., Api], backend: ScriptedCognito, tmp_path: Path
) -> None:
    """With little time, half of it is kept to look."""
    backend.on("AdminCreateUser", DOUBT["timeout"])
    backend.on("AdminGetUser", there())
    api = serve(backend.url, audit_file=tmp_path / "audit.jsonl", deadline=5)
    done = ask(api)
    assert (done["user"], done["invited"]) == ({"username": "bob"}, None)


def test_in_a_pool_of_addresses(doubtful: Api, backend: ScriptedCognito, tmp_path: Path) -> None:
    """There the user has another name, and is looked for by the one that was given."""
    backend.on("DescribeUserPool", described(usernames=["email"]))
    backend.on("AdminCreateUser", DOUBT["500"])
    backend.on("AdminGetUser", there("sub-of-bob", email="b@x.org"))
    done = ask(doubtful, username="b@x.org")
    assert (done["user"], done["errors"]) == ({"username": "sub-of-bob"}, [])
    asked = [each.parameters for each in backend.requests if each.operation == "AdminGetUser"]
    assert [each["Username"] for each in asked] == ["b@x.org"]
    (event,) = events_in(tmp_path / "audit.jsonl")
    assert event["target"] == {"username": "sub-of-bob", "group": None}


class Pool:
    """Creates each user once, and loses some of its replies."""

    def __init__(self, lost: int) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._left = lost

    def create(self, parameters: dict[str, Any]) -> Reply:
        with self._lock:
            name = parameters["Username"]
            if name in self.users:
                return failure("UsernameExistsException")
            attributes = {each["Name"]: each["Value"] for each in parameters["UserAttributes"]}
            self.users[name] = row(name, **attributes)
            if self._left:
                self._left -= 1
                return hang_up()
            return reply({"User": self.users[name]})

    def get(self, parameters: dict[str, Any]) -> Reply:
        user = dict(self.users[parameters["Username"]])
        return reply({**user, "UserAttributes": user.pop("Attributes")})


@pytest.mark.parametrize("lost", [0, 1])
def test_many_at_once(doubtful: Api, backend: ScriptedCognito, lost: int) -> None:
    """Of ten who create the same username, one does, whether or not the reply is lost."""
    pool = Pool(lost)
    backend.on("AdminCreateUser", pool.create)
    backend.on("AdminGetUser", pool.get)
    ready = threading.Barrier(10)
    token = doubtful.token("Admins")

    def create(number: int) -> Any:
        ready.wait(30)
        return ask(doubtful, token=token, fullName=f"Bob {number}")

    with ThreadPoolExecutor(10) as threads:
        payloads = list(threads.map(create, range(10)))
    made = [number for number, payload in enumerate(payloads) if not payload["errors"]]
    assert len(made) == 1
    said = [errors_of(payload) for payload in payloads if payload["errors"]]
    assert said == [[("ALREADY_EXISTS", "username")]] * 9
    (user,) = pool.users.values()
    assert {"Name": "name", "Value": f"Bob {made[0]}"} in user["Attributes"]
    assert len(backend.all_sent("AdminCreateUser")) == 10
