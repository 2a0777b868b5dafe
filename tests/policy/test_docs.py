"""`docs/permissions.md`: its policies are good, and its table is what is decided."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from graphql_admin.actions import Action
from graphql_admin.admin.authorization import MAX_WAIT
from graphql_admin.policy.decisions import (
    Allowed,
    Decisions,
    Denied,
    KnownTarget,
    KnownUser,
    Principal,
    Reason,
)
from graphql_admin.policy.file import read_policy
from graphql_admin.policy.file_schema import PATH
from graphql_admin.policy.grants import Grants
from graphql_admin.policy.reservations import KEPT, MAX_PER_CALLER

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "permissions.md").read_text(encoding="utf-8")
README = (DOCS.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```toml\n(.*?)^```", PAGE + README, flags=re.MULTILINE | re.DOTALL)
POLICIES = [block for block in BLOCKS if "[groups]" in block]

SUB = "6f1c0000-0000-4000-8000-000000000000"
POLICY = f"""
[groups]
Admins = ["*"]
Helpers = ["addUserToGroup", "removeUserFromGroup", "confirmUserSignUp", "disableUser",
           "enableUser", "deleteUser", "endUserSessions", "setUserPassword", "resetUserPassword",
           "resendInvitation", "updateUser", "endUserSession", "setUserMfa", "deleteUserTotp",
           "forgetUserDevice", "setUserDeviceRemembered", "rateUserAuthEvent", "linkUserIdentity",
           "unlinkUserIdentity"]
Readers = ["listUsers"]
[writes]
Helpers = ["*"]
[protected]
groups = ["Finance"]
users = ["{SUB}"]
"""
GRANTS = Grants(read_policy(POLICY))
DECISIONS = Decisions(GRANTS)

ROWS = {
    "confirm, enable, end sessions, invite again, set a name, forget a device": [
        (Action.CONFIRM_USER_SIGN_UP, None),
        (Action.ENABLE_USER, None),
        (Action.END_USER_SESSIONS, None),
        (Action.END_USER_SESSION, None),
        (Action.RESEND_INVITATION, None),
        (Action.UPDATE_USER, None),
        (Action.FORGET_USER_DEVICE, None),
    ],
    "disable, delete, set or reset the password, set MFA, delete the authenticator app, set an "
    "address, remember a device, rate a sign-in, link or unlink an identity, remove from a group "
    "that gives rights": [
        (Action.DISABLE_USER, None),
        (Action.DELETE_USER, None),
        (Action.SET_USER_PASSWORD, None),
        (Action.RESET_USER_PASSWORD, None),
        (Action.SET_USER_MFA, None),
        (Action.DELETE_USER_TOTP, None),
        (Action.SET_USER_DEVICE_REMEMBERED, None),
        (Action.RATE_USER_AUTH_EVENT, None),
        (Action.LINK_USER_IDENTITY, None),
        (Action.UNLINK_USER_IDENTITY, None),
        (Action.UPDATE_USER, None, True),
        (Action.REMOVE_USER_FROM_GROUP, "Helpers"),
    ],
    "add to a group": [(Action.ADD_USER_TO_GROUP, "Helpers")],
}
CALLERS = {"every right": "Admins", "some rights": "Helpers"}


def targets(group: str) -> list[KnownUser | None]:
    """Return the target of each column, for a caller in a group; None where there is none."""
    more = KnownUser("admin", frozenset({"Readers"})) if group == "Helpers" else None
    return [
        KnownUser("nobody", frozenset({"Customers"})),
        KnownUser("equal", frozenset({group})),
        more,
        KnownUser("member", frozenset({"Finance"})),
        KnownUser(SUB, frozenset()),
        KnownUser("self", frozenset({group})),
    ]


def cells() -> list[tuple[str, str, list[str]]]:
    """Return the rows of the page's table: the caller's rights, what is done, and the cells."""
    table = PAGE.split("## Every case")[1].split("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in table.splitlines() if line[:2] == "| "]
    found, caller = [], ""
    for first, *rest in lines[1:]:
        named = re.match(r"A caller with (\w+ \w+): ", first)
        caller = named[1] if named else caller
        what = first.removeprefix(f"A caller with {caller}: ").removeprefix("… ")
        found.append((caller, what, rest))
    return found


def test_table_is_whole() -> None:
    """The page has a row for every caller and every kind of change."""
    assert {(caller, what) for caller, what, _ in cells()} == {
        (caller, what) for caller in CALLERS for what in ROWS
    }


def test_table_has_every_action() -> None:
    """Every action on a user stands in the table, so its row is not tested by itself alone."""
    named = {action for changes in ROWS.values() for action, *_ in changes}
    assert named == {action for action in Action if action.row.is_on_existing_user}


@pytest.mark.parametrize(("caller", "what", "said"), cells())
def test_table(caller: str, what: str, said: list[str]) -> None:
    """Each cell says what is decided."""
    group = CALLERS[caller]
    principal = Principal("self", GRANTS.of_user(frozenset({group})))
    for action, *changed in ROWS[what]:
        for target, cell in zip(targets(group), said, strict=True):
            if target is None:
                assert cell == "–"
                continue
            decision = DECISIONS.decide(principal, action, KnownTarget(target, *changed))
            if isinstance(decision, Allowed):
                assert cell == "yes", (action, target)
                continue
            assert isinstance(decision, Denied)
            no = "no" if decision.reason is Reason.OUT_OF_SCOPE else ""
            assert cell in {no, f"`{decision.reason.value}`"}, (action, target)


def test_policies() -> None:
    """Every policy that the pages show starts a server, and pleases an editor."""
    assert len(POLICIES) == 5
    schema = Draft7Validator(json.loads(PATH.read_text(encoding="utf-8")))
    for text in POLICIES:
        policy = read_policy(text)
        assert policy.groups
        schema.validate(tomllib.loads(text))


def test_policies_keep_helpers_down() -> None:
    """In none of them can a caller without every right give a group more than they have."""
    for text in POLICIES:
        grants = Grants(read_policy(text))
        for group in read_policy(text).groups:
            rights = grants.of_user(frozenset({group}))
            for given in rights.grants - {"*"}:
                assert grants.actions_of_groups((given,)) <= rights.actions, (group, given)


def test_figures() -> None:
    """The figures on the page are those of the code."""
    text = " ".join(PAGE.split())
    assert f"for {KEPT:.0f} seconds after" in text
    assert f"more than {MAX_PER_CALLER} times" in text
    assert f"more than {MAX_WAIT:.0f} seconds ago" in text
