"""Users from their invitation to their deletion, as their administrator and they themselves act.

An administrator acts over HTTP, users in an app of the pool, and the outcome of each step is looked
up by a plain client.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.support.api import Api
from tests.support.directory import Directory
from tests.support.leaks import PASSWORD
from tests.support.scripted import Reply, ScriptedCognito, failure, reply

INVITED, CHOSEN, RECOVERED, GIVEN = (f"{PASSWORD}{number}" for number in range(4))
"""Passwords of one user, one after the other."""


@dataclass(frozen=True)
class Administrator:
    """A caller who has every right."""

    api: Api
    token: str | None = None

    def ask(self, mutation: str, selection: str = "user { username status }", **given: Any) -> Any:
        """Send a mutation that is carried out, and return its payload."""
        payload = self._send(mutation, f"{selection} errors {{ code field }}", given)
        assert payload["errors"] == []
        return payload

    def is_refused(self, mutation: str, **given: Any) -> str:
        """Send a mutation that is not carried out, and return the code of its error."""
        (error,) = self._send(mutation, "errors { code }", given)["errors"]
        return str(error["code"])

    def _send(self, mutation: str, selection: str, given: Mapping[str, Any]) -> Any:
        input_type = f"{mutation[0].upper()}{mutation[1:]}Input"
        document = f"""mutation ($input: {input_type}!) {{
            done: {mutation}(input: $input) {{ {selection} }}
        }}"""
        return self.api.send(document, {"input": given}, token=self.token).data["done"]


@dataclass(frozen=True)
class App:
    """An app of a pool, in which its users sign in."""

    directory: Directory
    client_id: str

    @classmethod
    def of(cls, directory: Directory) -> "App":
        client = directory.cognito.create_user_pool_client(
            UserPoolId=directory.pool_id,
            ClientName="app",
            ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        )
        return cls(directory, client["UserPoolClient"]["ClientId"])

    def start(self, name: str, password: str) -> Any:
        """Give name and password, and return what Cognito replies."""
        return self.directory.cognito.admin_initiate_auth(
            UserPoolId=self.directory.pool_id,
            ClientId=self.client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": password},
        )

    def sign_in(self, name: str, password: str) -> str:
        """Sign in and return the access token."""
        return str(self.start(name, password)["AuthenticationResult"]["AccessToken"])

    def choose(self, name: str, password: str, new: str) -> str:
        """Sign in with a password that must be changed, and return the access token."""
        started = self.start(name, password)
        assert started["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
        ended = self.directory.cognito.respond_to_auth_challenge(
            ClientId=self.client_id,
            ChallengeName="NEW_PASSWORD_REQUIRED",
            Session=started["Session"],
            ChallengeResponses={"USERNAME": name, "NEW_PASSWORD": new},
        )
        return str(ended["AuthenticationResult"]["AccessToken"])

    def recover(self, name: str, new: str) -> None:
        """Choose a password with the code of a reset."""
        self.directory.cognito.confirm_forgot_password(
            ClientId=self.client_id, Username=name, ConfirmationCode="123456", Password=new
        )

    def rejects(self, name: str, password: str) -> bool:
        """Tell whether signing in so fails."""
        exceptions = self.directory.cognito.exceptions
        try:
            self.start(name, password)
        except (exceptions.NotAuthorizedException, exceptions.UserNotFoundException):
            return True
        return False

    def knows(self, token: str) -> bool:
        """Tell whether Cognito accepts an access token."""
        try:
            self.directory.cognito.get_user(AccessToken=token)
        except self.directory.cognito.exceptions.NotAuthorizedException:
            return False
        return True


def groups_in(token: str) -> list[str]:
    claims = jwt.decode(token, options={"verify_signature": False})
    return list(claims.get("cognito:groups", []))


def status_of(directory: Directory, name: str) -> str:
    return str(directory.user(name)["UserStatus"])


@dataclass(frozen=True)
class Story:
    """Who acts, and where.

    Attributes:
        admin: The administrator.
        app: Where users sign in.
        directory: The pool.
        by_address: Whether its usernames are e-mail addresses.
        audit: The file of events.
    """

    admin: Administrator
    app: App
    directory: Directory
    by_address: bool
    audit: Path

    def events(self) -> list[tuple[str, str, str | None]]:
        """Return the action, outcome and code of each event."""
        events = [json.loads(line) for line in self.audit.read_text().splitlines()]
        return [(each["action"], each["outcome"], each["code"]) for each in events]


@pytest.fixture(params=["usernames", "addresses"])
def story(
    request: pytest.FixtureRequest,
    serve: Callable[..., Api],
    moto_url: str,
    cognito: Any,
    tmp_path: Path,
) -> Story:
    by_address = request.param == "addresses"
    given = {"UsernameAttributes": ["email"]} if by_address else {}
    pool = cognito.create_user_pool(PoolName="people", **given)
    directory = Directory(cognito, pool["UserPool"]["Id"])
    cognito.add_custom_attributes(
        UserPoolId=directory.pool_id,
        CustomAttributes=[{"Name": "department", "AttributeDataType": "String", "Mutable": True}],
    )
    directory.add_group("Editors")
    audit = tmp_path / "audit.jsonl"
    api = serve(moto_url, directory.pool_id, audit_file=audit)
    sub = directory.enroll("root@example.com", "Admins")
    username = directory.user("root@example.com")["Username"]
    token = api.token("Admins", username=username, sub=sub)
    return Story(Administrator(api, token), App.of(directory), directory, by_address, audit)


def invite(story: Story, name: str) -> Any:
    """Create bob, and return him as the payload has him."""
    created = story.admin.ask(
        "createUser",
        "user { username sub email emailVerified status enabled } invited",
        username=name,
        email="bob@example.com",
        emailVerified=True,
        fullName="Bob Doe",
        temporaryPassword=INVITED,
        inviteBy=["EMAIL"],
    )
    assert created["invited"] is True
    return created["user"]


def sign_in_for_the_first_time(story: Story, name: str, username: str) -> None:
    """With the temporary password, which must be changed."""
    story.app.choose(name, INVITED, CHOSEN)
    assert status_of(story.directory, name) == "CONFIRMED"
    assert story.app.rejects(name, INVITED)
    assert groups_in(story.app.sign_in(name, CHOSEN)) == []
    assert story.admin.is_refused("resendInvitation", username=username) == "WRONG_STATE"


def join_a_group(story: Story, name: str, username: str) -> None:
    """The group is in the next token."""
    story.admin.ask("addUserToGroup", username=username, groupName="Editors")
    assert story.directory.groups_of(name) == {"Editors"}
    assert groups_in(story.app.sign_in(name, CHOSEN)) == ["Editors"]


def lose_the_password(story: Story, name: str, username: str) -> None:
    """A code is sent to choose another; and again, an administrator sets one."""
    reset = story.admin.ask("resetUserPassword", username=username)
    assert reset["user"] == {"username": username, "status": "RESET_REQUIRED"}
    story.app.recover(name, RECOVERED)
    assert story.app.rejects(name, CHOSEN)
    story.app.choose(name, RECOVERED, RECOVERED)  # moto still asks for another
    given = story.admin.ask("setUserPassword", username=username, password=GIVEN, permanent=True)
    assert given["user"] == {"username": username, "status": "CONFIRMED"}
    assert story.app.rejects(name, RECOVERED)
    assert groups_in(story.app.sign_in(name, GIVEN)) == ["Editors"]


def change_attributes(story: Story, username: str) -> None:
    """They are changed, and then verified."""
    story.admin.ask(
        "updateUser",
        username=username,
        fullName="Bob Roe",
        phoneNumber="+15550100",
        phoneNumberVerified=False,
        attributes=[{"name": "custom:department", "value": "Sales"}],
    )
    updated = story.admin.ask(
        "updateUser",
        "user { username email emailVerified fullName phoneNumber phoneNumberVerified }",
        username=username,
        email="roe@example.com",
        emailVerified=True,
        phoneNumber="+15550100",
        phoneNumberVerified=True,
    )
    assert updated["user"] == {
        "username": username,
        "email": "roe@example.com",
        "emailVerified": True,
        "fullName": "Bob Roe",
        "phoneNumber": "+15550100",
        "phoneNumberVerified": True,
    }
    found = story.directory.attributes_of(username)
    found.pop("sub")
    assert found == {
        "email": "roe@example.com",
        "email_verified": "true",
        "name": "Bob Roe",
        "phone_number": "+15550100",
        "phone_number_verified": "true",
        "custom:department": "Sales",
    }


def disable_and_enable(story: Story, name: str, username: str) -> None:
    """A disabled user cannot sign in, and keeps their groups."""
    token = story.app.sign_in(name, GIVEN)
    disabled = story.admin.ask("disableUser", "user { username enabled }", username=username)
    assert disabled["user"] == {"username": username, "enabled": False}
    assert story.directory.user(name)["Enabled"] is False
    assert story.app.rejects(name, GIVEN)
    assert not story.app.knows(token)
    assert story.admin.is_refused("resetUserPassword", username=username) == "WRONG_STATE"
    assert story.directory.groups_of(name) == {"Editors"}
    story.admin.ask("enableUser", username=username)
    assert story.directory.user(name)["Enabled"] is True
    assert story.app.knows(story.app.sign_in(name, GIVEN))


def end_sessions(story: Story, username: str) -> None:
    """Tokens are no longer valid, and the user can sign in again."""
    # moto ends the sessions that were started by the same name.
    token = story.app.sign_in(username, GIVEN)
    story.admin.ask("endUserSessions", username=username)
    assert not story.app.knows(token)
    assert story.app.knows(story.app.sign_in(username, GIVEN))


def delete(story: Story, name: str, username: str, sub: str) -> None:
    """The user is deleted, and no other instead."""
    other = "00000000-0000-4000-8000-000000000000"
    assert story.admin.is_refused("deleteUser", username=username, ifSub=other) == "STALE"
    assert status_of(story.directory, name) == "CONFIRMED"
    deleted = story.admin.ask("deleteUser", "deletedUsername", username=username, ifSub=sub)
    assert deleted["deletedUsername"] == username
    assert story.app.rejects(name, GIVEN)
    members = story.directory.cognito.list_users_in_group(
        UserPoolId=story.directory.pool_id, GroupName="Editors"
    )
    assert members["Users"] == []


def test_from_invitation_to_deletion(story: Story) -> None:
    """Each step shows in the pool, and decides whether and how the user signs in."""
    first_name = name = "bob@example.com" if story.by_address else "bob"
    bob = invite(story, name)
    username, sub = bob["username"], bob["sub"]
    assert username == story.directory.user(name)["Username"]
    assert username == (sub if story.by_address else name)
    assert sub == story.directory.attributes_of(name)["sub"]
    assert (bob["email"], bob["emailVerified"]) == ("bob@example.com", True)
    assert (bob["status"], bob["enabled"]) == ("FORCE_CHANGE_PASSWORD", True)
    sign_in_for_the_first_time(story, name, username)
    join_a_group(story, name, username)
    lose_the_password(story, name, username)
    change_attributes(story, username)
    if story.by_address:  # the new address is what signs in, and the username stays
        assert story.app.rejects(name, GIVEN)
        name = "roe@example.com"
    assert story.directory.user(name)["Username"] == username
    assert story.directory.attributes_of(name)["sub"] == sub
    disable_and_enable(story, name, username)
    end_sessions(story, username)
    delete(story, name, username, sub)

    # The name may be another user's afterwards.
    namesake = invite(story, first_name)["sub"]
    assert story.admin.is_refused("deleteUser", username=first_name, ifSub=sub) == "STALE"
    assert story.directory.attributes_of(first_name)["sub"] == namesake != sub
    assert story.app.rejects(first_name, GIVEN)
    assert story.events() == [
        ("createUser", "done", None),
        ("resendInvitation", "failed", "WRONG_STATE"),
        ("addUserToGroup", "done", None),
        ("resetUserPassword", "done", None),
        ("setUserPassword", "done", None),
        ("updateUser", "done", None),
        ("updateUser", "done", None),
        ("disableUser", "done", None),
        ("resetUserPassword", "failed", "WRONG_STATE"),
        ("enableUser", "done", None),
        ("endUserSessions", "done", None),
        ("deleteUser", "failed", "STALE"),
        ("deleteUser", "done", None),
        ("createUser", "done", None),
        ("deleteUser", "failed", "STALE"),
    ]


# Scripted: messages that are not delivered, and addresses that wait for a code


class Invitee:
    """Bob, in a pool that reaches one address, and in which a new one waits until he confirms it.

    Attributes:
        writes: What was sent to change him, without the pool's id.
    """

    def __init__(self) -> None:
        self.writes: list[tuple[str, dict[str, Any]]] = []
        self._attributes: dict[str, str] = {}
        self._waiting = ""

    def install(self, backend: ScriptedCognito) -> None:
        schema = [{"Name": "email"}, {"Name": "email_verified"}]
        settings = {"AttributesRequireVerificationBeforeUpdate": ["email"]}
        pool = {"SchemaAttributes": schema, "UserAttributeUpdateSettings": settings}
        backend.on("DescribeUserPool", reply({"UserPool": pool}))
        backend.on("AdminGetUser", lambda _: reply(self._user("UserAttributes")))
        backend.on("AdminCreateUser", self._invite)
        backend.on("AdminUpdateUserAttributes", self._update)

    def confirm(self) -> None:
        """Let him enter the code that was sent to the new address."""
        self._attributes |= {"email": self._waiting, "email_verified": "true"}

    def _user(self, attributes: str) -> dict[str, Any]:
        rows = [{"Name": name, "Value": value} for name, value in self._attributes.items()]
        status = {"Enabled": True, "UserStatus": "FORCE_CHANGE_PASSWORD"}
        return {"Username": "bob", attributes: rows, **status}

    def _invite(self, parameters: dict[str, Any]) -> Reply:
        given = self._take("AdminCreateUser", parameters)
        if parameters.get("MessageAction") != "RESEND":
            self._attributes = {"sub": "sub-of-bob", **given}
        if self._attributes["email"] == "bob@example.com":
            return reply({"User": self._user("Attributes")})
        return failure("CodeDeliveryFailureException")

    def _update(self, parameters: dict[str, Any]) -> Reply:
        given = self._take("AdminUpdateUserAttributes", parameters)
        if given["email_verified"] == "true":
            self._attributes |= given
        else:
            self._waiting = given["email"]
        return reply({})

    def _take(self, operation: str, parameters: dict[str, Any]) -> dict[str, str]:
        sent = {name: value for name, value in parameters.items() if name != "UserPoolId"}
        self.writes.append((operation, sent))
        return {each["Name"]: each["Value"] for each in sent.get("UserAttributes", [])}


def test_invitation_that_does_not_arrive(
    serve: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path
) -> None:
    """The user is still there; their address is put right, and they are invited again."""
    bob = Invitee()
    bob.install(scripted)
    admin = Administrator(serve(scripted.url, audit_file=tmp_path / "audit.jsonl"))
    wrong: dict[str, Any] = {"email": "bob@example.org", "emailVerified": True}
    shown = "user { username email emailVerified }"
    created = admin.ask(
        "createUser", f"{shown} invited", username="bob", **wrong, inviteBy=["EMAIL"]
    )
    assert created == {"user": {"username": "bob", **wrong}, "invited": False, "errors": []}
    assert admin.is_refused("resendInvitation", username="bob") == "DELIVERY_FAILED"
    right: dict[str, Any] = {"email": "bob@example.com", "emailVerified": True}
    assert admin.ask("updateUser", shown, username="bob", **right)["user"] == {
        "username": "bob",
        **right,
    }
    admin.ask("resendInvitation", username="bob")
    resent = {"Username": "bob", "MessageAction": "RESEND", "DesiredDeliveryMediums": ["EMAIL"]}
    assert bob.writes == [
        (
            "AdminCreateUser",
            {
                "Username": "bob",
                "UserAttributes": attributes("bob@example.org"),
                "DesiredDeliveryMediums": ["EMAIL"],
            },
        ),
        ("AdminCreateUser", resent),
        (
            "AdminUpdateUserAttributes",
            {"Username": "bob", "UserAttributes": attributes("bob@example.com")},
        ),
        ("AdminCreateUser", resent),
    ]


def attributes(email: str) -> list[dict[str, str]]:
    """Return an address that is verified, as Cognito takes it."""
    return [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}]


def test_address_that_waits_for_a_code(
    serve: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path
) -> None:
    """What is shown is the address that counts, until the user has entered the code."""
    bob = Invitee()
    bob.install(scripted)
    admin = Administrator(serve(scripted.url, audit_file=tmp_path / "audit.jsonl"))
    old: dict[str, Any] = {"email": "bob@example.com", "emailVerified": True}
    admin.ask("createUser", username="bob", **old)
    new: dict[str, Any] = {"email": "roe@example.com", "emailVerified": False}
    shown = "user { email emailVerified }"
    assert admin.ask("updateUser", shown, username="bob", **new)["user"] == old
    bob.confirm()
    query = 'query { user(by: {username: "bob"}) { email emailVerified } }'
    assert admin.api.send(query).data["user"] == {**new, "emailVerified": True}
    # Said to be verified, the next one does not wait.
    next_: dict[str, Any] = {"email": "doe@example.com", "emailVerified": True}
    assert admin.ask("updateUser", shown, username="bob", **next_)["user"] == next_
