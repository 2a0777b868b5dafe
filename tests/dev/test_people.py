"""The people of dev mode: each may do over HTTP what the policy says, and nothing else happens."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from starlette.testclient import TestClient

from graphql_admin.actions import Action
from graphql_admin.app import create_app
from graphql_admin.dev.cognito import PASSWORD, EmbeddedCognito
from graphql_admin.settings import load_settings

TARGET = "richard"
GROUP = "Editors"


@dataclass(frozen=True)
class Pool:
    """The embedded pool as a plain boto3 client sees it."""

    cognito: Any
    pool_id: str
    tokens: dict[str, str] = field(default_factory=dict)
    """Of people who signed in."""

    def user(self) -> dict[str, Any]:
        return dict(self.cognito.admin_get_user(UserPoolId=self.pool_id, Username=TARGET))

    def groups(self) -> set[str]:
        reply = self.cognito.admin_list_groups_for_user(UserPoolId=self.pool_id, Username=TARGET)
        return {group["GroupName"] for group in reply["Groups"]}

    def join(self, group: str) -> None:
        self.cognito.admin_add_user_to_group(
            UserPoolId=self.pool_id, Username=TARGET, GroupName=group
        )

    def leave(self, group: str) -> None:
        self.cognito.admin_remove_user_from_group(
            UserPoolId=self.pool_id, Username=TARGET, GroupName=group
        )

    def enable(self) -> None:
        self.cognito.admin_enable_user(UserPoolId=self.pool_id, Username=TARGET)

    def disable(self) -> None:
        self.cognito.admin_disable_user(UserPoolId=self.pool_id, Username=TARGET)

    def is_there(self) -> bool:
        users = self.cognito.list_users(UserPoolId=self.pool_id)["Users"]
        return TARGET in {user["Username"] for user in users}

    def leave_the_pool(self) -> None:
        if self.is_there():
            self.cognito.admin_delete_user(UserPoolId=self.pool_id, Username=TARGET)

    def invite(self) -> None:
        self.leave_the_pool()
        self.cognito.admin_create_user(
            UserPoolId=self.pool_id,
            Username=TARGET,
            UserAttributes=[
                {"Name": "email", "Value": f"{TARGET}@example.com"},
                {"Name": "email_verified", "Value": "true"},
            ],
            MessageAction="SUPPRESS",
        )

    def has_address(self) -> bool:
        return "email" in {each["Name"] for each in self.user()["UserAttributes"]}

    def settle(self) -> None:
        self.invite()
        self.cognito.admin_set_user_password(
            UserPoolId=self.pool_id, Username=TARGET, Password=PASSWORD, Permanent=True
        )

    def sign_in(self) -> None:
        self.settle()
        clients = self.cognito.list_user_pool_clients(UserPoolId=self.pool_id)["UserPoolClients"]
        self.tokens[TARGET] = self.cognito.admin_initiate_auth(
            UserPoolId=self.pool_id,
            ClientId=clients[0]["ClientId"],
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": TARGET, "PASSWORD": PASSWORD},
        )["AuthenticationResult"]["AccessToken"]

    def is_signed_in(self) -> bool:
        try:
            self.cognito.get_user(AccessToken=self.tokens[TARGET])
        except self.cognito.exceptions.NotAuthorizedException:
            return False
        return True

    def has_group(self) -> bool:
        groups = self.cognito.list_groups(UserPoolId=self.pool_id)["Groups"]
        return NEW_GROUP in {group["GroupName"] for group in groups}

    def group(self) -> dict[str, Any]:
        reply = self.cognito.get_group(UserPoolId=self.pool_id, GroupName=NEW_GROUP)
        return dict(reply["Group"])

    def delete_group(self) -> None:
        if self.has_group():
            self.cognito.delete_group(UserPoolId=self.pool_id, GroupName=NEW_GROUP)

    def create_group(self) -> None:
        self.delete_group()
        self.cognito.create_group(
            UserPoolId=self.pool_id, GroupName=NEW_GROUP, Description="Nothing"
        )

    def tidy(self) -> None:
        self.delete_group()
        if not self.is_there():
            self.settle()

    def sign_up_again(self) -> None:
        self.leave_the_pool()
        clients = self.cognito.list_user_pool_clients(UserPoolId=self.pool_id)["UserPoolClients"]
        self.cognito.sign_up(
            ClientId=clients[0]["ClientId"], Username=TARGET, Password="Correct-horse-1"
        )


@dataclass(frozen=True)
class Change:
    """An action on a user, and how it shows in the pool.

    Attributes:
        before: Brings the pool into a state in which the action changes something.
        done: Whether the pool is as the action leaves it.
        input: The mutation's input.
    """

    before: Callable[[Pool], None]
    done: Callable[[Pool], bool]
    input: str = f'username: "{TARGET}"'


NEW_GROUP = "Testers"

IN_GROUP = f'username: "{TARGET}", groupName: "{GROUP}"'

CHANGES = {
    Action.ADD_USER_TO_GROUP: Change(
        lambda pool: pool.leave(GROUP), lambda pool: GROUP in pool.groups(), IN_GROUP
    ),
    Action.REMOVE_USER_FROM_GROUP: Change(
        lambda pool: pool.join(GROUP), lambda pool: GROUP not in pool.groups(), IN_GROUP
    ),
    Action.DISABLE_USER: Change(Pool.enable, lambda pool: not pool.user()["Enabled"]),
    Action.ENABLE_USER: Change(Pool.disable, lambda pool: bool(pool.user()["Enabled"])),
    Action.CONFIRM_USER_SIGN_UP: Change(
        Pool.sign_up_again, lambda pool: pool.user()["UserStatus"] == "CONFIRMED"
    ),
    Action.CREATE_USER: Change(
        Pool.leave_the_pool,
        Pool.is_there,
        f'username: "{TARGET}", email: "{TARGET}@example.com", emailVerified: true',
    ),
    Action.UPDATE_USER: Change(
        Pool.invite,
        lambda pool: {"Name": "name", "Value": "Richard"} in pool.user()["UserAttributes"],
        f'username: "{TARGET}", fullName: "Richard"',
    ),
    Action.SET_USER_PASSWORD: Change(
        Pool.invite,
        lambda pool: pool.user()["UserStatus"] == "CONFIRMED",
        f'username: "{TARGET}", password: "{PASSWORD}", permanent: true',
    ),
    Action.RESET_USER_PASSWORD: Change(
        Pool.settle, lambda pool: pool.user()["UserStatus"] == "RESET_REQUIRED"
    ),
    Action.RESEND_INVITATION: Change(
        Pool.invite,
        # moto makes another user of whom it invites again.
        lambda pool: not pool.has_address(),
    ),
    Action.SET_USER_MFA: Change(
        Pool.settle,
        lambda pool: pool.user()["PreferredMfaSetting"] == "SMS_MFA",
        f'username: "{TARGET}", sms: PREFERRED',
    ),
    Action.END_USER_SESSIONS: Change(Pool.sign_in, lambda pool: not pool.is_signed_in()),
    Action.DELETE_USER: Change(Pool.invite, lambda pool: not pool.is_there()),
    Action.CREATE_GROUP: Change(
        Pool.delete_group, lambda pool: pool.has_group(), f'groupName: "{NEW_GROUP}"'
    ),
    Action.UPDATE_GROUP: Change(
        Pool.create_group,
        lambda pool: pool.group()["Description"] == "Tests",
        f'groupName: "{NEW_GROUP}", description: "Tests"',
    ),
    Action.DELETE_GROUP: Change(
        Pool.create_group, lambda pool: not pool.has_group(), f'groupName: "{NEW_GROUP}"'
    ),
}

READS = {
    Action.GET_USER_AUTH_FACTORS: (
        f'{{ user(by: {{username: "{TARGET}"}}) {{ authFactors {{ mfa }} }} }}'
    ),
    Action.LIST_USERS: "{ users { nodes { email } } }",
    Action.GET_USER: f'{{ user(by: {{username: "{TARGET}"}}) {{ username }} }}',
    Action.LIST_GROUPS: "{ groups { nodes { name } } }",
    Action.GET_GROUP: f'{{ group(name: "{GROUP}") {{ name }} }}',
    Action.LIST_GROUPS_FOR_USER: "{ users { nodes { groups { nodes { name } } } } }",
    Action.LIST_USERS_IN_GROUP: "{ groups { nodes { users { nodes { username } } } } }",
}


@pytest.fixture(scope="module")
def embedded() -> Iterator[EmbeddedCognito]:
    with EmbeddedCognito() as cognito:
        cognito.seed(12)
        yield cognito


@pytest.fixture
def pool(embedded: EmbeddedCognito) -> Pool:
    client = boto3.client(
        "cognito-idp",
        region_name="eu-west-1",
        endpoint_url=embedded.endpoint_url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    return Pool(client, embedded.pool_id)


@pytest.fixture
def send(
    embedded: EmbeddedCognito, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, str], Any]]:
    """Post a document with a token to the server that dev mode starts."""
    for name, value in embedded.environment.items():
        monkeypatch.setenv(name, value)
    app = create_app(load_settings())
    with TestClient(app, base_url="http://localhost") as client:

        def post(document: str, token: str) -> Any:
            headers = {"Authorization": f"Bearer {token}"}
            return client.post("/graphql", json={"query": document}, headers=headers).json()

        yield post


LACKING = {
    Action.END_USER_SESSION: 'sessionId: "tkn0123456789abcdefghijklmno"',
    Action.DELETE_USER_TOTP: "",
    Action.FORGET_USER_DEVICE: 'deviceKey: "eu-west-1_0a"',
    Action.SET_USER_DEVICE_REMEMBERED: 'deviceKey: "eu-west-1_0a", remembered: true',
    Action.RATE_USER_AUTH_EVENT: 'eventId: "e", wasTheUser: true',
    Action.LINK_USER_IDENTITY: 'provider: "Google", value: "1"',
}
"""Changes that moto does not have, with their input."""

PEOPLE = ["admin", "helper", "ordinary user"]


def test_every_change_is_tried() -> None:
    """Every action that changes something is tried in dev mode, by every person."""
    tried = CHANGES.keys() | LACKING.keys() | {Action.UNLINK_USER_IDENTITY, Action.SIGN_USER_OUT}
    assert tried == {each for each in Action if each.write}


@pytest.mark.parametrize("action", CHANGES, ids=lambda action: action.label)
@pytest.mark.parametrize("role", PEOPLE)
def test_change(
    embedded: EmbeddedCognito, pool: Pool, send: Callable[..., Any], role: str, action: Action
) -> None:
    """An action shows in the pool if the policy gives it to the person, and only then."""
    person = next(person for person in embedded.people if person.role == role)
    change = CHANGES[action]
    change.before(pool)
    assert not change.done(pool)
    document = f"mutation {{ {action.label}(input: {{{change.input}}}) {{ errors {{ code }} }} }}"
    answer = send(document, person.token)
    if action in allowed(person.groups):
        assert answer == {"data": {action.label: {"errors": []}}}
        assert change.done(pool)
    else:
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        assert not change.done(pool)
    pool.tidy()


@pytest.mark.parametrize("action", LACKING, ids=lambda action: action.label)
def test_what_moto_lacks(
    embedded: EmbeddedCognito, pool: Pool, send: Callable[..., Any], action: Action
) -> None:
    """The error says that the pool does not do it, and nothing is changed."""
    pool.settle()
    admin = next(person for person in embedded.people if person.role == "admin")
    input_ = f'username: "{TARGET}", {LACKING[action]}'
    answer = send(
        f"mutation {{ {action.label}(input: {{{input_}}}) {{ errors {{ code }} }} }}", admin.token
    )
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["UPSTREAM_ERROR"]
    assert pool.is_there()


@pytest.mark.parametrize(
    "field",
    [
        "devices { nodes { key } }",
        "authEvents { nodes { id } }",
        "authFactors { firstFactors }",
        "sessions { id }",
    ],
)
def test_lists_that_moto_lacks(
    embedded: EmbeddedCognito, send: Callable[..., Any], field: str
) -> None:
    """The user is shown without them."""
    admin = next(person for person in embedded.people if person.role == "admin")
    answer = send(f'{{ user(by: {{username: "otto"}}) {{ username {field} }} }}', admin.token)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["UPSTREAM_ERROR"]
    assert answer["data"]["user"] == {"username": "otto", field.split(maxsplit=1)[0]: None}


def test_unlinking(embedded: EmbeddedCognito, send: Callable[..., Any]) -> None:
    """Who came by another provider is that identity; a user without one has nothing to unlink."""
    admin = next(person for person in embedded.people if person.role == "admin")
    query = "{ users(filter: {status: EXTERNAL_PROVIDER}) { nodes { username identities { userId"
    (user,) = send(f"{query} provider }} }} }} }}", admin.token)["data"]["users"]["nodes"]
    assert user["username"] == "Google_" + user["identities"][0]["userId"]
    for username, code in ((user["username"], "WRONG_STATE"), ("otto", "NOT_FOUND")):
        given = f'username: "{username}", provider: "Google", '
        given += f'userId: "{user["identities"][0]["userId"]}"'
        change = f"unlinkUserIdentity(input: {{{given}}}) {{ errors {{ code }} }}"
        answer = send(f"mutation {{ it: {change} }}", admin.token)
        assert answer == {"data": {"it": {"errors": [{"code": code}]}}}


@pytest.mark.parametrize("action", READS, ids=lambda action: action.label)
@pytest.mark.parametrize("role", PEOPLE)
def test_read(
    embedded: EmbeddedCognito, send: Callable[..., Any], role: str, action: Action
) -> None:
    """A person sees what the policy gives them to see."""
    person = next(person for person in embedded.people if person.role == role)
    answer = send(READS[action], person.token)
    may = allowed(person.groups)
    needed = {action, *({Action.LIST_USERS} if action is Action.LIST_GROUPS_FOR_USER else ())}
    needed |= {Action.LIST_GROUPS} if action is Action.LIST_USERS_IN_GROUP else set()
    if needed <= may:
        assert "errors" not in answer
        assert all(answer["data"].values())
    else:
        codes = {error["extensions"]["code"] for error in answer["errors"]}
        assert codes == {"FORBIDDEN"}


@pytest.mark.parametrize("role", PEOPLE)
def test_sign_out(
    embedded: EmbeddedCognito, pool: Pool, send: Callable[..., Any], role: str
) -> None:
    """Every user can sign themselves out, which revokes their refresh tokens, and no one else."""
    person = next(person for person in embedded.people if person.role == role)
    session = pool.cognito.admin_initiate_auth(
        UserPoolId=embedded.pool_id,
        ClientId=embedded.client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": person.username, "PASSWORD": PASSWORD},
    )["AuthenticationResult"]

    def refresh() -> None:
        pool.cognito.admin_initiate_auth(
            UserPoolId=embedded.pool_id,
            ClientId=embedded.client_id,
            AuthFlow="REFRESH_TOKEN_AUTH",
            AuthParameters={"REFRESH_TOKEN": session["RefreshToken"]},
        )

    document = "mutation { signUserOut(input: {%s}) { user { username } errors { code } } }"
    answer = send(document % f'username: "{TARGET}"', session["AccessToken"])
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    refresh()
    answer = send(document % "", session["AccessToken"])
    assert answer["data"]["signUserOut"] == {"user": {"username": person.username}, "errors": []}
    with pytest.raises(pool.cognito.exceptions.NotAuthorizedException):
        refresh()


def test_what_a_helper_may_do_to_each(embedded: EmbeddedCognito, send: Callable[..., Any]) -> None:
    """A helper helps ordinary users, and can neither lock an admin out nor become one."""
    person = next(person for person in embedded.people if person.role == "helper")
    users = "{ users(first: 3) { nodes { username allowedActions } } }"
    on_users = send(users, person.token)["data"]["users"]["nodes"]
    assert {each["username"]: each["allowedActions"] for each in on_users} == {
        "ada": [],
        "sam": [
            *("removeUserFromGroup", "confirmUserSignUp", "enableUser", "updateUser"),
            *("endUserSessions", "endUserSession", "resendInvitation", "signUserOut"),
        ],
        "otto": [
            "addUserToGroup",
            "removeUserFromGroup",
            "confirmUserSignUp",
            "disableUser",
            "enableUser",
            "updateUser",
            "endUserSessions",
            "endUserSession",
            "resetUserPassword",
            "resendInvitation",
            "setUserMfa",
            "deleteUserTotp",
        ],
    }
    groups = "{ groups { nodes { name allowedActions } } }"
    on_groups = send(groups, person.token)["data"]["groups"]["nodes"]
    may = ["addUserToGroup", "removeUserFromGroup"]
    assert {each["name"]: each["allowedActions"] for each in on_groups} == {
        "Admins": [],
        "Editors": may,
        "Readers": may,
        "Support": [],
        "Alumni": [],
    }


def test_helper_cannot_lock_an_admin_out(
    embedded: EmbeddedCognito, send: Callable[..., Any]
) -> None:
    """What a helper is not offered is refused, too."""
    person = next(person for person in embedded.people if person.role == "helper")
    for change in (
        'disableUser(input: {username: "ada"})',
        'resetUserPassword(input: {username: "ada"})',
        'endUserSessions(input: {username: "ada"})',
        'addUserToGroup(input: {username: "otto", groupName: "Admins"})',
        'addUserToGroup(input: {username: "otto", groupName: "Support"})',
    ):
        answer = send(f"mutation {{ it: {change} {{ errors {{ code }} }} }}", person.token)
        assert answer == {"data": {"it": {"errors": [{"code": "OUT_OF_SCOPE"}]}}}


def test_helper_sets_no_addresses(
    embedded: EmbeddedCognito, pool: Pool, send: Callable[..., Any]
) -> None:
    """A helper sets names, and nothing by which another user signs in."""
    person = next(person for person in embedded.people if person.role == "helper")
    pool.invite()
    change = f'updateUser(input: {{username: "{TARGET}", email: "x@x.org", emailVerified: true}})'
    answer = send(f"mutation {{ it: {change} {{ errors {{ code field }} }} }}", person.token)
    refused = {"code": "INVALID_VALUE", "field": "email"}
    assert answer == {"data": {"it": {"errors": [refused]}}}
    email = {"Name": "email", "Value": f"{TARGET}@example.com"}
    assert email in pool.user()["UserAttributes"]


def allowed(groups: tuple[str, ...]) -> frozenset[Action]:
    """Return what dev mode's policy is documented to give."""
    if "Admins" in groups:
        return frozenset(Action)
    if "Support" in groups:
        return frozenset(
            {
                Action.LIST_USERS,
                Action.GET_USER,
                Action.LIST_GROUPS,
                Action.LIST_GROUPS_FOR_USER,
                Action.DISABLE_USER,
                Action.ENABLE_USER,
                Action.CONFIRM_USER_SIGN_UP,
                Action.ADD_USER_TO_GROUP,
                Action.REMOVE_USER_FROM_GROUP,
                Action.UPDATE_USER,
                Action.END_USER_SESSIONS,
                Action.RESET_USER_PASSWORD,
                Action.RESEND_INVITATION,
                Action.GET_USER_AUTH_FACTORS,
                Action.LIST_USER_SESSIONS,
                Action.END_USER_SESSION,
                Action.SET_USER_MFA,
                Action.DELETE_USER_TOTP,
            }
        )
    return frozenset()
