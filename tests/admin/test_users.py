"""Reading users, searching them, and every action on one of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.actions import Action
from graphql_admin.admin.nodes import global_id
from tests.support.api import Api
from tests.support.directory import Directory
from tests.support.scripted import ScriptedCognito, failure, reply

USER = "query ($by: UserBy!) { user(by: $by) { username sub email status enabled } }"
FOUND = "query ($f: UserFilter) { users(filter: $f) { nodes { username } } }"


def act(action: str, payload: str = "user { username }") -> str:
    """Return the document of a mutation."""
    kind = action[0].upper() + action[1:] + "Input"
    return (
        f"mutation ($input: {kind}!) {{ {action}(input: $input) "
        f"{{ {payload} errors {{ code field message }} }} }}"
    )


def names(connection: dict[str, Any]) -> list[str]:
    """Return the usernames in a connection."""
    return [node["username"] for node in connection["nodes"]]


def test_user_by_username(api: Api, directory: Directory) -> None:
    """A user is read with all that Cognito holds."""
    sub = directory.add_user(
        "bob",
        email="bob@example.com",
        email_verified="true",
        phone_number="+15550100",
        given_name="Bob",
        family_name="Builder",
        name="Bob Builder",
        preferred_username="bobby",
    )
    user = api.send(
        """{ user(by: {username: "bob"}) {
            __typename username sub email emailVerified phoneNumber phoneNumberVerified
            fullName givenName familyName preferredUsername status enabled createdAt updatedAt
            attributes { name value }
        } }"""
    ).data["user"]
    attributes = {pair["name"]: pair["value"] for pair in user.pop("attributes")}
    assert attributes["email"] == "bob@example.com"
    stamps = user.pop("createdAt"), user.pop("updatedAt")
    assert all(stamp.endswith("Z") for stamp in stamps)
    assert user == {
        "__typename": "User",
        "username": "bob",
        "sub": sub,
        "email": "bob@example.com",
        "emailVerified": True,
        "phoneNumber": "+15550100",
        "phoneNumberVerified": None,
        "fullName": "Bob Builder",
        "givenName": "Bob",
        "familyName": "Builder",
        "preferredUsername": "bobby",
        "status": "FORCE_CHANGE_PASSWORD",
        "enabled": True,
    }


def test_user_by_any_key(api: Api, directory: Directory) -> None:
    """A user is found by username, sub, e-mail and phone number."""
    sub = directory.add_user("bob", email="bob@example.com", phone_number="+15550100")
    directory.add_user("eve", email="eve@example.com")
    keys = {
        "username": "bob",
        "sub": sub,
        "email": "bob@example.com",
        "phoneNumber": "+15550100",
    }
    document = "query ($by: UserBy!) { user(by: $by) { username } }"
    found = {key: api.send(document, {"by": {key: keys[key]}}).data["user"] for key in keys}
    assert found == {key: {"username": "bob"} for key in keys}


@pytest.mark.parametrize(
    "by",
    [
        {"username": "nobody"},
        {"sub": "5f0c-none"},
        {"email": "nobody@example.com"},
        {"phoneNumber": "+1"},
    ],
)
def test_user_not_found(api: Api, directory: Directory, by: dict[str, str]) -> None:
    """A user who is not there is null, and no error."""
    directory.add_user("bob", email="bob@example.com")
    assert api.send(USER, {"by": by}).data == {"user": None}


def test_user_ambiguous(api: Api, directory: Directory) -> None:
    """Where two people have the same e-mail, neither is given for the other."""
    directory.add_user("bob", email="same@example.com")
    directory.add_user("eve", email="same@example.com")
    reply = api.send(USER, {"by": {"email": "same@example.com"}})
    assert reply.codes == ["AMBIGUOUS_USER"]
    assert reply.partial == {"user": None}


@pytest.mark.parametrize(
    "by", [{}, {"username": "a", "email": "b"}, {"username": None}, {"username": 1}, None]
)
def test_user_by_not_exactly_one_key(
    serve: Callable[..., Api], scripted: ScriptedCognito, by: dict[str, str]
) -> None:
    """A lookup names exactly one key, or is refused before Cognito is called."""
    assert serve(scripted.url).send(USER, {"by": by}).codes == ["BAD_USER_INPUT"]
    assert scripted.requests == []


BAD_NAMES = {
    "empty": "",
    "129 characters": "x" * 129,
    "space": "bob builder",
    "no-break space": "bob\u00a0builder",
    "line break": "bob\n",
    "NUL": "bob\0",
    "private use": "\ue000",
}


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_names_that_cannot_be(
    serve: Callable[..., Api], scripted: ScriptedCognito, name: str
) -> None:
    """A name that Cognito cannot have is refused by field, before Cognito is called."""
    api = serve(scripted.url)
    reply = api.send(USER, {"by": {"username": name}})
    assert reply.codes == ["BAD_USER_INPUT"]
    assert reply.errors[0]["extensions"]["field"] == "username"
    assert api.send("query ($n: String!) { group(name: $n) { name } }", {"n": name}).codes == [
        "BAD_USER_INPUT"
    ]
    assert scripted.requests == []


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES.keys())
@pytest.mark.parametrize(
    ("action", "field"),
    [
        ("disableUser", "username"),
        ("enableUser", "username"),
        ("confirmUserSignUp", "username"),
        ("addUserToGroup", "groupName"),
        ("removeUserFromGroup", "groupName"),
    ],
)
def test_changes_of_names_that_cannot_be(
    shared_serve: Callable[..., Api],
    shared_scripted: ScriptedCognito,
    action: str,
    field: str,
    name: str,
) -> None:
    """In a change it is refused in the payload, before Cognito is called."""
    names = {"username": "bob"} if field == "groupName" else {}
    answer = shared_serve(shared_scripted.url).send(act(action), {"input": {**names, field: name}})
    payload = answer.data[action]
    assert payload["user"] is None
    assert [(e["code"], e["field"]) for e in payload["errors"]] == [("INVALID_VALUE", field)]
    assert shared_scripted.requests == []


@pytest.mark.parametrize("name", ["x" * 128, "søren", "李", "a@b.example", "§+~"])
def test_names_that_can_be(api: Api, directory: Directory, name: str) -> None:
    """Any name that Cognito admits is found."""
    directory.add_user(name)
    assert api.send(USER, {"by": {"username": name}}).data["user"]["username"] == name


def test_users_by_filter(api: Api, directory: Directory) -> None:
    """Users are searched by each attribute, whole or by how it begins."""
    sub = directory.add_user(
        "bob",
        email="bob@example.com",
        phone_number="+15550100",
        name="Bob B",
        given_name="Bob",
        family_name="Builder",
        preferred_username="bobby",
    )
    directory.add_user("eve", email="eve@example.com")
    directory.cognito.admin_disable_user(UserPoolId=directory.pool_id, Username="eve")
    directory.sign_up("ann", email="ann@example.com")
    for criterion in (
        {"username": {"equals": "bob"}},
        {"username": {"startsWith": "bo"}},
        {"sub": {"equals": sub}},
        {"email": {"equals": "bob@example.com"}},
        {"email": {"startsWith": "bob@"}},
        {"phoneNumber": {"startsWith": "+1555"}},
        {"fullName": {"equals": "Bob B"}},
        {"givenName": {"equals": "Bob"}},
        {"familyName": {"startsWith": "Buil"}},
        {"preferredUsername": {"equals": "bobby"}},
        {"status": "FORCE_CHANGE_PASSWORD"},
    ):
        reply = api.send(FOUND, {"f": criterion})
        assert "bob" in names(reply.data["users"]), criterion
        assert "ann" not in names(reply.data["users"]), criterion
    assert names(api.send(FOUND, {"f": {"enabled": False}}).data["users"]) == ["eve"]
    assert names(api.send(FOUND, {"f": {"status": "UNCONFIRMED"}}).data["users"]) == ["ann"]


@pytest.mark.parametrize(
    ("criterion", "sent"),
    [
        ({"fullName": {"equals": 'a" or "b'}}, r'name = "a\" or \"b"'),
        ({"fullName": {"equals": "back\\"}}, r'name = "back\\"'),
        ({"fullName": {"startsWith": '\\"'}}, r'name ^= "\\\""'),
        ({"givenName": {"equals": "x"}}, 'given_name = "x"'),
        ({"phoneNumber": {"equals": "+1"}}, 'phone_number = "+1"'),
        ({"preferredUsername": {"startsWith": "x"}}, 'preferred_username ^= "x"'),
        ({"status": "RESET_REQUIRED"}, 'cognito:user_status = "RESET_REQUIRED"'),
        ({"enabled": True}, 'status = "Enabled"'),
        ({"enabled": False}, 'status = "Disabled"'),
    ],
)
def test_users_filter_as_sent(
    serve: Callable[..., Api], scripted: ScriptedCognito, criterion: dict[str, Any], sent: str
) -> None:
    """A value reaches Cognito as a value, whatever characters it has."""
    scripted.on("ListUsers", reply({"Users": []}))
    assert serve(scripted.url).send(FOUND, {"f": criterion}).data == {"users": {"nodes": []}}
    assert [request.parameters["Filter"] for request in scripted.requests] == [sent]


@pytest.mark.parametrize(
    "criterion",
    [
        {"fullName": {"equals": "x" * 257}},
        {"fullName": {"equals": ""}},
        {"fullName": {"startsWith": "a\nb"}},
        {"fullName": {"equals": "a\0b"}},
        {"fullName": {}},
        {"fullName": {"equals": "a", "startsWith": "a"}},
        {"fullName": {"equals": "a"}, "email": {"equals": "a"}},
        {},
        {"status": "NEVER_HEARD_OF"},
    ],
)
def test_users_filter_refused(
    serve: Callable[..., Api], scripted: ScriptedCognito, criterion: dict[str, Any]
) -> None:
    """A filter that cannot be meant is refused before Cognito is called."""
    assert serve(scripted.url).send(FOUND, {"f": criterion}).codes == ["BAD_USER_INPUT"]
    assert scripted.requests == []


NAMES_AS_PEOPLE_WRITE_THEM = {
    "ideographic space": "山田\u3000太郎",
    "no-break space": "Jean\u00a0Paul",
    "zero-width joiner": "\U0001f469\u200d\U0001f4bb Ada",
    "zero-width non-joiner": "\u0645\u06cc\u200c\u062e",
    "mark of direction": "\u200fעדה",
    "soft hyphen": "Ann\u00adMarie",
    "private use": "\ue000",
    "newer than any table": "\U000e0fff",
    "line separator": "a\u2028b",
}


@pytest.mark.parametrize("match", ["equals", "startsWith"])
@pytest.mark.parametrize(
    "name", NAMES_AS_PEOPLE_WRITE_THEM.values(), ids=NAMES_AS_PEOPLE_WRITE_THEM.keys()
)
def test_users_filter_takes_what_stands_in_names(
    shared_serve: Callable[..., Api], shared_scripted: ScriptedCognito, name: str, match: str
) -> None:
    """A filter's value may have any character but control characters and lone surrogates."""
    shared_scripted.on("ListUsers", reply({"Users": []}))
    api = shared_serve(shared_scripted.url)
    assert api.send(FOUND, {"f": {"fullName": {match: name}}}).data["users"]["nodes"] == []
    assert f'"{name}"' in shared_scripted.requests[-1].parameters["Filter"]


@pytest.mark.parametrize("control", ["\x00", "\x1f", "\x7f", "\x80", "\x9f"], ids=ascii)
def test_users_filter_refuses_control_characters(
    serve: Callable[..., Api], scripted: ScriptedCognito, control: str
) -> None:
    """Control characters, of both sets, are refused before Cognito is called."""
    api = serve(scripted.url)
    assert api.send(FOUND, {"f": {"fullName": {"equals": f"a{control}"}}}).codes == [
        "BAD_USER_INPUT"
    ]
    assert scripted.requests == []


@pytest.mark.parametrize(
    "field",
    [
        *("username", "sub", "email", "phoneNumber"),
        *("fullName", "givenName", "familyName", "preferredUsername"),
    ],
)
def test_users_filter_with_an_empty_prefix(
    serve: Callable[..., Api], scripted: ScriptedCognito, field: str
) -> None:
    """Every user matches the empty prefix, which a search box sends before the first letter."""
    scripted.on("ListUsers", reply({"Users": [{"Username": "bob"}]}))
    answer = serve(scripted.url).send(FOUND, {"f": {field: {"startsWith": ""}}})
    assert names(answer.data["users"]) == ["bob"]
    assert "Filter" not in scripted.requests[0].parameters


@pytest.mark.parametrize("value", ["", "x" * 300, "a\nb"], ids=["empty", "too long", "control"])
@pytest.mark.parametrize("key", ["sub", "email", "phoneNumber"])
def test_user_by_value_that_cannot_be(
    serve: Callable[..., Api], scripted: ScriptedCognito, key: str, value: str
) -> None:
    """A value that cannot be looked up is refused, and the error names the argument."""
    answer = serve(scripted.url).send(USER, {"by": {key: value}})
    assert answer.codes == ["BAD_USER_INPUT"]
    assert answer.errors[0]["extensions"]["field"] == f"by.{key}"
    assert scripted.requests == []


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        *(("true", True), ("True", True), ("TRUE", True)),
        *(("false", False), ("False", False), ("FALSE", False)),
        *(("", None), ("yes", None), (None, None)),
    ],
)
def test_boolean_attributes_in_any_letter_case(
    serve: Callable[..., Api], scripted: ScriptedCognito, text: str | None, meaning: bool | None
) -> None:
    """Booleans are read whatever the letter case of the program that set them."""
    attributes = [
        {"Name": name, "Value": text}
        for name in ("email_verified", "phone_number_verified")
        if text is not None
    ]
    scripted.on("AdminGetUser", reply({"Username": "bob", "UserAttributes": attributes}))
    user = 'user(by: {username: "bob"}) { emailVerified phoneNumberVerified }'
    assert serve(scripted.url).send(f"{{ {user} }}").data == {
        "user": {"emailVerified": meaning, "phoneNumberVerified": meaning}
    }


def test_users_equality_checked_again(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Users that Cognito returns but who do not meet the equality are not shown."""
    row = {"Username": "eve", "Enabled": True, "UserStatus": "CONFIRMED"}
    email = {"Name": "email", "Value": "eve@example.com"}
    scripted.on("ListUsers", reply({"Users": [{**row, "Attributes": [email]}, row]}))
    api = serve(scripted.url)
    assert api.send(FOUND, {"f": {"email": {"equals": "bob@example.com"}}}).data == {
        "users": {"nodes": []}
    }
    assert api.send(USER, {"by": {"sub": "bob"}}).data == {"user": None}


def test_user_status_unheard_of(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A status that is new to this server is UNKNOWN, and breaks nothing."""
    scripted.on("ListUsers", reply({"Users": [{"Username": "bob", "UserStatus": "TELEPORTED"}]}))
    answer = serve(scripted.url).send("{ users { nodes { username status } } }")
    assert answer.data["users"]["nodes"] == [{"username": "bob", "status": "UNKNOWN"}]


def test_disable_and_enable_user(api: Api, directory: Directory) -> None:
    """A user is disabled, and enabled again."""
    directory.add_user("bob")
    reply = api.send(
        act("disableUser", "user { username enabled }"), {"input": {"username": "bob"}}
    )
    assert reply.data["disableUser"] == {
        "user": {"username": "bob", "enabled": False},
        "errors": [],
    }
    assert directory.user("bob")["Enabled"] is False
    reply = api.send(act("enableUser", "user { enabled }"), {"input": {"username": "bob"}})
    assert reply.data["enableUser"] == {"user": {"enabled": True}, "errors": []}
    assert directory.user("bob")["Enabled"] is True


def test_confirm_user_sign_up(api: Api, directory: Directory) -> None:
    """A registration is confirmed."""
    directory.sign_up("bob", email="bob@example.com")
    assert directory.user("bob")["UserStatus"] == "UNCONFIRMED"
    reply = api.send(act("confirmUserSignUp", "user { status }"), {"input": {"username": "bob"}})
    assert reply.data["confirmUserSignUp"] == {"user": {"status": "CONFIRMED"}, "errors": []}
    assert directory.user("bob")["UserStatus"] == "CONFIRMED"


def test_confirm_user_sign_up_twice(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Confirming a confirmed user is a conflict of state, as on AWS (not in moto)."""
    scripted.on("AdminConfirmSignUp", failure("NotAuthorizedException"))
    reply = serve(scripted.url).send(act("confirmUserSignUp"), {"input": {"username": "bob"}})
    assert [e["code"] for e in reply.data["confirmUserSignUp"]["errors"]] == ["WRONG_STATE"]


def test_add_and_remove_user_in_group(api: Api, directory: Directory) -> None:
    """A user is added to a group, and removed from it."""
    directory.add_user("bob")
    directory.add_group("Editors", Description="Who edits")
    variables = {"input": {"username": "bob", "groupName": "Editors"}}
    payload = "user { username groups { nodes { name } } } group { name description }"
    reply = api.send(act("addUserToGroup", payload), variables)
    assert reply.data["addUserToGroup"] == {
        "user": {"username": "bob", "groups": {"nodes": [{"name": "Editors"}]}},
        "group": {"name": "Editors", "description": "Who edits"},
        "errors": [],
    }
    assert directory.groups_of("bob") == {"Editors"}
    reply = api.send(act("removeUserFromGroup", payload), variables)
    assert reply.data["removeUserFromGroup"]["user"]["groups"]["nodes"] == []
    assert directory.groups_of("bob") == set()


OWN = "user { __typename id username sub }"


def test_sign_user_out(api: Api, directory: Directory) -> None:
    """Every signed-in user can sign out, naming themselves in any way or none."""
    sub = directory.add_user("bob", email="bob@example.com")
    token = api.token(username="bob", sub=sub)
    document, names = act("signUserOut", OWN), (None, "bob", sub)
    done = [api.send(document, {"input": {"username": name}}, token=token).data for name in names]
    user = {"__typename": "User", "id": "VXNlcjpib2I=", "username": "bob", "sub": sub}
    assert done == [{"signUserOut": {"user": user, "errors": []}}] * len(names)


@pytest.mark.parametrize(
    "beyond", ["email", "status", "attributes { name value }", "groups { nodes { name } }"]
)
def test_sign_user_out_shows_no_more_than_the_token(
    api: Api, directory: Directory, beyond: str
) -> None:
    """Of the caller, only what is in the token is shown, unless they may read more."""
    sub = directory.add_user("bob", email="bob@example.com")
    directory.add_group("Admins")
    document = act("signUserOut", f"user {{ username sub {beyond} }}")
    variables: dict[str, Any] = {"input": {}}
    reply = api.send(document, variables, token=api.token(username="bob", sub=sub))
    assert reply.codes == ["FORBIDDEN"]
    assert "bob@example.com" not in reply.response.text
    assert reply.partial["signUserOut"]["errors"] == []  # it was still done
    admin = api.send(document, variables, token=api.token("Admins", username="bob", sub=sub))
    assert admin.data["signUserOut"]["user"]["sub"] == sub


def test_sign_user_out_reads_nothing(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """What is in the token takes no call other than the action's own."""
    scripted.on("AdminUserGlobalSignOut", reply({}))
    answer = serve(scripted.url).send(act("signUserOut", OWN), {"input": {}}, groups=())
    assert answer.data["signUserOut"]["user"]["sub"] == "sub-of-root"
    assert scripted.operations() == ["AdminUserGlobalSignOut"]


@pytest.mark.parametrize("username", ["eve", "null", "", "BOB"])
def test_sign_user_out_another_user(
    serve: Callable[..., Api], scripted: ScriptedCognito, username: str
) -> None:
    """No caller can sign out another user, not even an administrator."""
    api = serve(scripted.url)
    reply = api.send(
        act("signUserOut"),
        {"input": {"username": username}},
        token=api.token("Admins", username="bob"),
    )
    assert reply.codes == ["FORBIDDEN"]
    assert scripted.requests == []


BELOW_USER = {
    "groups { nodes { name } }": "AdminListGroupsForUser",
    "devices { nodes { key } }": "AdminListDevices",
    "authEvents { nodes { id } }": "AdminListUserAuthEvents",
    "sessions { id }": "AdminListUserSessions",
    "authFactors { mfa firstFactors }": "AdminGetUserAuthFactors",
}


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize("field", BELOW_USER)
def test_what_is_below_a_user_who_is_gone_by_now_is_null_without_an_error(
    serve: Callable[..., Api], scripted: ScriptedCognito, field: str
) -> None:
    """The index of users lags, and some clients drop a page that has any error."""
    scripted.on(
        "ListUsers",
        reply(
            {
                "Users": [
                    {"Username": name, "Attributes": [{"Name": "sub", "Value": f"sub-of-{name}"}]}
                    for name in ("eve", "bob")
                ]
            }
        ),
    )
    scripted.on(BELOW_USER[field], failure("UserNotFoundException"))
    answer = serve(scripted.url).send(f"{{ users {{ nodes {{ username {field} }} }} }}")
    name = field.split(maxsplit=1)[0]
    assert answer.data["users"]["nodes"] == [
        {"username": "eve", name: None},
        {"username": "bob", name: None},
    ]


@pytest.mark.usefixtures("paths")
def test_users_of_a_group_that_is_gone_by_now_are_null_without_an_error(
    serve: Callable[..., Api], scripted: ScriptedCognito
) -> None:
    """So are those below a group, whether from a list or by a reference."""
    scripted.on("ListGroups", reply({"Groups": [{"GroupName": "Editors"}]}))
    scripted.on("ListUsersInGroup", failure("ResourceNotFoundException"))
    answer = serve(scripted.url).send("""{
        groups { nodes { name users { nodes { username } } } }
        _entities(representations: [{__typename: "Group", name: "Editors"}]) {
            ... on Group { users { nodes { username } } }
        }
    }""")
    assert answer.data == {
        "groups": {"nodes": [{"name": "Editors", "users": None}]},
        "_entities": [{"users": None}],
    }


def test_allowed_actions_on_a_user_who_is_gone_by_now_are_null_without_an_error(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    policy_for_staff: Callable[[frozenset[Action]], Path],
) -> None:
    """So is what the caller may do, where it depends on the user's groups."""
    policy = policy_for_staff(
        frozenset({Action.LIST_USERS, Action.LIST_GROUPS_FOR_USER, Action.DISABLE_USER})
    )
    bob = {"Username": "bob", "Attributes": [{"Name": "sub", "Value": "sub-of-bob"}]}
    scripted.on("ListUsers", reply({"Users": [bob]}))
    scripted.on("AdminListGroupsForUser", failure("UserNotFoundException"))
    api = serve(scripted.url, policy_file=policy)
    answer = api.send("{ users { nodes { username allowedActions } } }", groups=("Staff",))
    assert answer.data["users"]["nodes"] == [{"username": "bob", "allowedActions": None}]


@pytest.mark.parametrize(
    "action",
    ["disableUser", "enableUser", "confirmUserSignUp", "addUserToGroup", "removeUserFromGroup"],
)
def test_act_on_unknown_user(api: Api, directory: Directory, action: str) -> None:
    """An action on a user who is not there says so in its payload."""
    directory.add_group("Editors")
    names = {"username": "nobody"}
    if "Group" in action:
        names["groupName"] = "Editors"
    payload = api.send(act(action), {"input": names}).data[action]
    assert payload["user"] is None
    assert [(e["code"], e["field"]) for e in payload["errors"]] == [("USER_NOT_FOUND", "username")]


@pytest.mark.parametrize("action", ["addUserToGroup", "removeUserFromGroup"])
def test_act_on_unknown_group(api: Api, directory: Directory, action: str) -> None:
    """An action on a group that is not there says so in its payload."""
    directory.add_user("bob")
    names = {"username": "bob", "groupName": "Nowhere"}
    payload = api.send(act(action), {"input": names}).data[action]
    assert [(e["code"], e["field"]) for e in payload["errors"]] == [
        ("GROUP_NOT_FOUND", "groupName")
    ]
    assert directory.groups_of("bob") == set()


def test_mutation_calls_cognito_once(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """An action is one call, and one more only if more than the key is asked of the user."""
    scripted.on("AdminEnableUser", reply({}))
    scripted.on("AdminGetUser", reply({"Username": "bob", "UserAttributes": [], "Enabled": True}))
    api = serve(scripted.url)
    variables = {"input": {"username": "bob"}}
    api.send(act("enableUser", "user { __typename }"), variables)
    assert scripted.operations() == ["AdminEnableUser"]
    fragment = " fragment F on User { ... @include(if: true) { enabled } }"
    answer = api.send(act("enableUser", "user { ...F }") + fragment, variables)
    assert answer.data["enableUser"]["user"] == {"enabled": True}
    assert scripted.operations()[1:] == ["AdminEnableUser", "AdminGetUser"]


NAMED = {
    "Username": "6f1c-uuid",
    "UserAttributes": [{"Name": "sub", "Value": "6f1c-uuid"}],
    "Enabled": True,
}


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize("given", ["alias-of-bob", "6F1C-UUID"])
@pytest.mark.parametrize("selected", ["id", "username", "...F"])
@pytest.mark.parametrize(
    ("action", "more"),
    [("addUserToGroup", {"groupName": "Editors"}), ("enableUser", {}), ("confirmUserSignUp", {})],
)
def test_a_payload_has_the_id_of_whoever_an_alias_or_other_letters_name(  # noqa: PLR0917
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    action: str,
    more: dict[str, str],
    selected: str,
    given: str,
) -> None:
    """An `id` made of what was given would be nobody's, and a client's cache would go stale."""
    scripted.on_all({Action.labelled(action).write: {}, "AdminGetUser": NAMED})
    scripted.on("DescribeUserPool", reply({"UserPool": {"AliasAttributes": ["email"]}}))
    fragment = " fragment F on User { id ... on Node { id } }" if selected == "...F" else ""
    document = act(action, f"user {{ {selected} }}") + fragment
    api = serve(scripted.url)
    payload = api.send(document, {"input": {"username": given, **more}}).data[action]
    (value,) = set(payload["user"].values())
    expected = "6f1c-uuid" if selected == "username" else global_id("User", "6f1c-uuid")
    assert value == expected


def test_a_payload_is_read_back_once_where_the_decision_has_read_the_user(
    serve: Callable[..., Api], scripted: ScriptedCognito
) -> None:
    """The name that the pool has is known by then."""
    scripted.on_all({"AdminDisableUser": {}, "AdminGetUser": NAMED})
    answer = serve(scripted.url).send(
        act("disableUser", "user { id }"), {"input": {"username": "alias-of-bob"}}
    )
    assert answer.data["disableUser"]["user"] == {"id": global_id("User", "6f1c-uuid")}
    assert scripted.operations().count("AdminGetUser") == 1


@pytest.mark.parametrize("selected", ["deletedId", "deletedUsername"])
def test_a_deleted_user_has_the_id_of_whoever_an_alias_named(
    serve: Callable[..., Api], scripted: ScriptedCognito, selected: str
) -> None:
    """A client takes the user with that `id` out of its cache."""
    scripted.on_all({"AdminDeleteUser": {}, "AdminGetUser": NAMED})
    answer = serve(scripted.url).send(
        act("deleteUser", selected), {"input": {"username": "alias-of-bob"}}
    )
    expected = "6f1c-uuid" if selected == "deletedUsername" else global_id("User", "6f1c-uuid")
    assert answer.data["deleteUser"][selected] == expected


def test_mutation_read_back_fails(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A failed read-back is an error at its path, and the action stays done."""
    scripted.on("AdminEnableUser", reply({}))
    scripted.on("AdminGetUser", failure("AccessDeniedException"))
    answer = serve(scripted.url).send(
        act("enableUser", "user { email }"), {"input": {"username": "bob"}}
    )
    assert answer.partial == {"enableUser": {"user": None, "errors": []}}
    assert [(e["path"], e["extensions"]["code"]) for e in answer.errors] == [
        (["enableUser", "user"], "UPSTREAM_ERROR")
    ]


def test_refusal_leaves_neighbours(api: Api, directory: Directory) -> None:
    """A field that is refused is null, and blanks nothing beside it."""
    directory.add_user("bob")
    reply = api.send(
        '{ viewer { username } user(by: {username: "bob"}) { username } }', groups=("Readers",)
    )
    assert reply.partial == {"viewer": {"username": "root"}, "user": None}
    assert [(e["path"], e["extensions"]["code"]) for e in reply.errors] == [(["user"], "FORBIDDEN")]
