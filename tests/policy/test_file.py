"""What a policy file may say, and what is said of one that cannot be meant."""

import re
import tomllib
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from graphql_admin.actions import Action
from graphql_admin.policy.file import InvalidPolicy, _put, read_policy
from graphql_admin.policy.file_schema import PATH, make_schema, write_schema
from graphql_admin.policy.grants import FOR_ANYONE, NOT_FOR_MACHINES, Given, Policy
from graphql_admin.policy.tables import make_tables

SUB = "6f1c0000-0000-4000-8000-00000000000A"
SCHEMA = Draft7Validator(make_schema())
EVERYTHING = Given(frozenset(Action), is_everything=True)

WHOLE = f"""
[groups]                                   # what a group may do
Admins  = ["*"]
Support = ["listUsers", "getUser", "addUserToGroup"]
"*" = ["listGroups"]
[scopes]
"admin-api/provision" = ["addUserToGroup"]
"admin-api/all" = ["*"]
[grants]
Support = ["Customers", "Beta"]
"admin-api/provision" = []
[writes]
Support = ["name", "email", "custom:plan"]
"admin-api/provision" = []
[protected]
groups = ["Billing"]
users  = ["{SUB}"]
"""


def problems(text: str, **given: Any) -> list[str]:
    with pytest.raises(InvalidPolicy) as raised:
        read_policy(text, **given)
    assert str(raised.value) == "; ".join(raised.value.problems)
    return raised.value.problems


def test_policy() -> None:
    """Every table is read."""
    assert read_policy(WHOLE) == Policy(
        groups={
            "Admins": EVERYTHING,
            "Support": Given(
                frozenset({Action.LIST_USERS, Action.GET_USER, Action.ADD_USER_TO_GROUP})
            ),
            "*": Given(frozenset({Action.LIST_GROUPS})),
        },
        scopes={
            "admin-api/provision": Given(frozenset({Action.ADD_USER_TO_GROUP})),
            "admin-api/all": EVERYTHING,
        },
        grants={"Support": frozenset({"Customers", "Beta"}), "admin-api/provision": frozenset()},
        writes={
            "Support": frozenset({"name", "email", "custom:plan"}),
            "admin-api/provision": frozenset(),
        },
        protected_groups=frozenset({"Billing"}),
        protected_users=frozenset({SUB.lower()}),
    )


def test_policy_of_groups_alone() -> None:
    """A file of before the other tables leaves them out, and empty ones are not left out."""
    policy = read_policy('groups = {Admins = ["*"], Staff = ["getUser", "getUser"]}')
    assert policy == Policy({"Admins": EVERYTHING, "Staff": Given(frozenset({Action.GET_USER}))})
    assert (policy.scopes, policy.grants, policy.writes) == (None, None, None)
    empty = read_policy('[grants]\n[writes]\n[protected]\n[groups]\nA = ["*"]')
    assert (empty.grants, empty.writes) == ({}, {})


def test_policy_for_machines_alone() -> None:
    """A server may be for machines only."""
    assert read_policy('[scopes]\n"api/x" = ["getUser"]').groups == {}


@pytest.mark.parametrize("label", ["*", "disableUser"])
def test_policy_for_anyone(label: str) -> None:
    """Every signed-in user never gets an action that was added later."""
    text = f'[groups]\nA = ["disableUser"]\n"*" = [\n"{label}"]'
    earlier = FOR_ANYONE - {Action.DISABLE_USER}
    if label == "*":
        assert read_policy(text, for_anyone=earlier).groups["*"] == Given(earlier, True)
        assert read_policy(text).groups["*"] == Given(FOR_ANYONE, True)
    else:
        assert problems(text, for_anyone=earlier) == [
            (
                "line 4: [groups] '*': 'disableUser' cannot be given to every signed-in user; "
                "name groups"
            )
        ]


KNOWN = ", ".join(action.label for action in Action)
FOR_MACHINES = ", ".join(action.label for action in Action if action not in NOT_FOR_MACHINES)
GROUPS = '[groups]\nA = ["*"]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["there must be a table [groups], with a list of actions for each group"]),
        ("[groups]\n", ["line 1: [groups] must hold a list of actions for each of its names"]),
        ("\ngroups = 5", ["line 2: [groups] must be a table"]),
        ('[[groups]]\nA = ["*"]', ["line 1: [groups] must be a table"]),
        ("[groups.A]\nb = 1", [("line 1: [groups] 'A' must have a list, such as [\"listUsers\", "
         '"getUser"]')]),
        (GROUPS + "B = []", [("line 3: [groups] 'B' must have a list, such as [\"listUsers\", "
         '"getUser"]')]),
        (GROUPS + '[reads]\nA = ["email", ""]\n[masks]\nA = [\n"name",\n"email",\n"sub"]', [
            "line 4: [reads] 'A': '' is not the name of an attribute",
            "line 8: [masks] 'A': [reads] gives 'email' whole, so it cannot be masked",
            "line 9: [masks] 'A': 'sub' is not an attribute that can be masked"]),
        (GROUPS + '[reads]\nA = ["*"]\n[masks]\nA = ["name"]\nB = ["*"]\n', [
            "line 6: [masks] 'A': [reads] gives 'name' whole, so it cannot be masked"]),
        (GROUPS + '[reads]\nA = ["name"]\n[masks]\nA = ["*", "email_verified"]', [
            "line 6: [masks] 'A': 'email_verified' is not an attribute that can be masked",
            "line 6: [masks] 'A': [reads] gives attributes whole, so not all can be masked"]),
        (GROUPS + '[groups2]\n[groups.B]\n["groups" . C]\n', [
            ("line 3: there is no table 'groups2'; the tables are [groups], [scopes], [grants], "
            "[writes], [reads], [masks], [protected]"),
            "line 4: [groups] 'B' must have a list, such as [\"listUsers\", \"getUser\"]",
            "line 5: [groups] 'C' must have a list, such as [\"listUsers\", \"getUser\"]"]),
        ("[groups]\n'' = ['getUser']\n\" \" = ['x']", ["line 2: [groups] has an empty name",
         "line 3: [groups] has an empty name",
         f"line 3: [groups] ' ': there is no action 'x'; the actions are {KNOWN}"]),
        (("[groups]\n' ' = [\n'getUser',\n'nope',\n]\n'' = []\n"
         "[scopes]\n'a b' = ['signUserOut',\n'createUser', 'zip']\n"
         "[grants]\n'' = [7]\n[writes]\n' ' = 'name'\n[more]\n' ' = ['nope']"), [
            "line 2: [groups] has an empty name",
            f"line 4: [groups] ' ': there is no action 'nope'; the actions are {KNOWN}",
            "line 6: [groups] has an empty name",
            ("line 6: [groups] '' must have a list, such as [\"listUsers\", \"getUser\"]"),
            "line 8: [scopes] has 'a b', which is not an OAuth scope",
            "line 8: [scopes] 'a b': 'signUserOut' cannot be given to a machine",
            f"line 9: [scopes] 'a b': there is no action 'zip'; the actions are {FOR_MACHINES}",
            ("line 9: [scopes] 'a b': 'createUser' requires a line in [writes], with the "
             "attributes to set"),
            "line 11: [grants] has an empty name",
            "line 11: [grants] '': 7 is not the name of a group",
            "line 13: [writes] has an empty name",
            "line 13: [writes] ' ' must have a list, such as [\"name\", \"custom:plan\"]",
            ("line 14: there is no table 'more'; the tables are [groups], [scopes], [grants], "
            "[writes], [reads], [masks], [protected]")]),
        ("[groups]\nA = ['x', # 'q'\n'y', 'z', 'getUser', ['w'], 1]\nB = ['']", [
            f"line 2: [groups] 'A': there is no action 'x'; the actions are {KNOWN}",
            f"line 3: [groups] 'A': there is no action 'y', 'z', ['w'], 1; the actions are {KNOWN}",
            f"line 4: [groups] 'B': there is no action ''; the actions are {KNOWN}"]),
        ("[scopes]\n'*' = ['getUser']\n'a b' = ['getUser']\n'a/b' = ['signUserOut']", [
            "line 2: [scopes] has '*', which is not an OAuth scope",
            "line 3: [scopes] has 'a b', which is not an OAuth scope",
            "line 4: [scopes] 'a/b': 'signUserOut' cannot be given to a machine"]),
        (GROUPS + "[scopes]", [("line 3: [scopes] must hold a list of actions for each of its "
         "names")]),
        (GROUPS + "[grants]\nA = [\n1,\n'']\nB = 'C'", [
            "line 5: [grants] 'A': 1 is not the name of a group",
            "line 6: [grants] 'A': '' is not the name of a group",
            "line 7: [grants] 'B' must have a list, such as [\"Customers\"]"]),
        ("[protected]\ngroups = ['Billing']\n[grants]\nA = ['Beta',\n'*',\n'Billing']\n" + GROUPS,
         [("line 6: [grants] 'A': 'Billing' is a protected group, which no caller may give or "
           "take")]),
        ("[protected]\ngroups = ['Billing', '*']\n[grants]\nA = ['Beta',\n'*',\n'Billing']\n"
         "B = []\n" + GROUPS, [
            "line 4: [grants] 'A': 'Beta' is a protected group, which no caller may give or take",
            ("line 5: [grants] 'A': '*' is every group, and all are protected, which no caller may "
             "give or take"),
             ("line 6: [grants] 'A': 'Billing' is a protected group, which no caller may give "
              "or take")]),
        (GROUPS + "[writes]\nA = [\n'name', 'sub',\n'identities',\n'cognito:user_status', 7]\n"
         "B = ['custom:sub', 'subs', 'a b',\n'dev:custom:x', 'x' ,\n'']\n"
         f"C = ['{'x' * 32}', '{'x' * 33}']\nD = 'name'", [
            "line 5: [writes] 'A': 'sub' is not an attribute that can be set",
            "line 6: [writes] 'A': 'identities' is not an attribute that can be set",
            "line 7: [writes] 'A': 'cognito:user_status' is not an attribute that can be set",
            "line 7: [writes] 'A': 7 is not an attribute that can be set",
            "line 8: [writes] 'B': 'a b' is not an attribute that can be set",
            "line 9: [writes] 'B': 'dev:custom:x' is not an attribute that can be set",
            "line 10: [writes] 'B': '' is not an attribute that can be set",
            f"line 11: [writes] 'C': '{'x' * 33}' is not an attribute that can be set",
            ("line 12: [writes] 'D' must have a list, such as [\"name\", \"custom:plan\"]")]),
        (("[groups]\nA = ['*', 'updateUser']\nB = ['getUser',\n'updateUser',\n'createUser']\n"
         "C = ['updateUser']\nD = ['updateUser']\n'*' = ['updateUser']\n"
         "[scopes]\n'a/b' = ['createUser']\n[writes]\nC = ['name']\nD = []"), [
            ("line 4: [groups] 'B': 'updateUser' requires a line in [writes], with the attributes "
             "to set"),
            ("line 5: [groups] 'B': 'createUser' requires a line in [writes], with the attributes "
             "to set"),
            ("line 8: [groups] '*': 'updateUser' cannot be given to every signed-in user; name "
             "groups"),
            ("line 8: [groups] '*': 'updateUser' requires a line in [writes], with the attributes "
             "to set"),
            ("line 10: [scopes] 'a/b': 'createUser' requires a line in [writes], with the "
             "attributes to set")]),
        ("[groups]\nA = ['createUser']\n[writes]\nB = ['sub']", [
            ("line 2: [groups] 'A': 'createUser' requires a line in [writes], with the attributes "
             "to set"),
            "line 4: [writes] 'B': 'sub' is not an attribute that can be set"]),
        ("[groups]\nA = ['createUser']\n", [
            ("line 2: [groups] 'A': 'createUser' requires a line in [writes], with the attributes "
             "to set")]),
        (GROUPS + f"[protected]\nusers = ['ada', '{SUB}',\n'{SUB}0',\n'{SUB}\\n']\nuser = []", [
            "line 4: [protected] 'users': 'ada' is not the `sub` of a user, a UUID",
            f"line 5: [protected] 'users': '{SUB}0' is not the `sub` of a user, a UUID",
            f"line 6: [protected] 'users': '{SUB}\\\\n' is not the `sub` of a user, a UUID",
            "line 7: [protected] has no 'user'; it has groups and users"]),
        (GROUPS + f'[protected]\nusers = ["{SUB}\\n"]', [
            f"line 4: [protected] 'users': '{SUB}\\n' is not the `sub` of a user, a UUID"]),
        ("[groups]\nA = " + "[" * 100_000, None),
    ],
)  # fmt: skip
def test_policy_invalid(text: str, said: list[str] | None) -> None:
    """Every bad line is named, with its number, all at once."""
    found = problems(text)
    if said is None:
        assert len(found) == 1
    else:
        assert found == said


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (GROUPS + "[groups]\nB = []", 3),
        (GROUPS + "A = []\n", 3),
        (GROUPS + 'B = "\n', 3),
        (GROUPS + "[more\n\n", 3),
        ("[groups]\nA = [", 2),
        ("[groups", 1),
    ],
)
def test_policy_not_toml(text: str, line: int) -> None:
    """What is not TOML is told of in tomllib's words, with the line, or the last."""
    (problem,) = problems(text)
    assert problem.startswith(f"line {line}: cannot read this: ")
    assert "(at " not in problem


def test_policy_not_toml_in_other_words() -> None:
    """Should tomllib put it otherwise one day, its words are passed on as they are."""
    assert _put(tomllib.TOMLDecodeError("oops"), "") == "cannot read this: oops"


def test_byte_order_mark() -> None:
    """Editors on Windows may begin a file in UTF-8 with a mark, which is not of its first line."""
    assert read_policy("\ufeff" + WHOLE) == read_policy(WHOLE)
    assert problems("\ufeff[groups]\nA = ['x']")[0].startswith("line 2: [groups] 'A': there is no")
    assert problems("\ufeff\ufeff[groups]")[0].startswith("line 1: cannot read this: ")
    assert problems("[groups]\n\ufeffA = ['*']")[0].startswith("line 2: cannot read this: ")


def test_file_schema_is_up_to_date() -> None:
    """`python -m graphql_admin.policy.file_schema` was run after the last change of a table."""
    assert PATH.read_text(encoding="utf-8") == write_schema()


_TEXTS = st.sampled_from(
    [
        *(action.label for action in Action),
        *("*", "", " ", "Admins", "Billing", "Beta", "api/x", "*x", "a b", "é", "getUsers"),
        *("name", "sub", "subs", "custom:sub", "cognito:x", "dev:x", "x" * 33, "a\x85", "\ufeff"),
        *(SUB, SUB.lower(), SUB + "\n", "\nA", "groups", "users"),
    ]
)
_NAMES = st.lists(_TEXTS, max_size=3)
_ODD = st.one_of(st.none().map(lambda _: True), st.integers(), _TEXTS, st.just({}), st.just([[]]))
_LISTS = st.one_of(_NAMES, _NAMES, _NAMES, _ODD)
_TABLES = st.one_of(
    *[st.dictionaries(_TEXTS, _LISTS, max_size=3)] * 3,
    st.dictionaries(st.sampled_from(["Admins", "api/x", "*"]), st.just(["getUser"])),
    st.dictionaries(st.sampled_from(["groups", "users"]), _LISTS, max_size=2),
    _ODD,
)
_TABLE_NAMES = st.sampled_from([*make_tables(), *make_tables(), "more"])
_DOCUMENTS = st.dictionaries(_TABLE_NAMES, _TABLES, max_size=4)


def _write(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case dict():
            members = (f"{_write(key)} = {_write(member)}" for key, member in value.items())
            return f"{{{', '.join(members)}}}"
        case list():
            return f"[{', '.join(map(_write, value))}]"
        case str():
            return '"' + value.replace("\n", "\\n") + '"'
        case _:
            return str(value)


def _accepts(document: dict[str, Any]) -> bool:
    try:
        read_policy("\n".join(f"{name} = {_write(table)}" for name, table in document.items()))
    except InvalidPolicy as invalid:
        # Of two tables at once, which no schema can say.
        of_two = ("which no caller may give or take", "requires a line in [writes]")
        return all(any(each in problem for each in of_two) for problem in invalid.problems)
    return True


@pytest.mark.slow
@settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.too_slow])
@given(_DOCUMENTS)
def test_file_schema_and_parser_agree(document: dict[str, Any]) -> None:
    """An editor marks what keeps the server from starting, and nothing else."""
    accepted = _accepts(document)
    event(f"accepted: {accepted}")
    # ECMA-262's `$` is the end of the text. Python's is also before a last line break.
    text = repr(document)
    assert accepted == SCHEMA.is_valid(document) or "\\n'" in text


@pytest.mark.parametrize(
    ("document", "valid"),
    [
        ({"groups": {"Admins": ["*"]}}, True),
        ({"groups": {"Admins": []}}, False),
        ({"groups": {"Admins": ["getUsers"]}}, False),
        ({"groups": {" ": ["*"]}}, False),
        ({"groups": {"A\n": ["*"]}}, True),
        ({"groups": {}}, False),
        ({}, False),
        ({"scopes": {"api/x": ["*"]}}, True),
        ({"scopes": {"*": ["*"]}}, False),
        ({"scopes": {"*x": ["getUser"]}}, True),
        ({"scopes": {"api/x": ["signUserOut"]}}, False),
        ({"groups": {"A": ["*"]}, "grants": {}, "protected": {}}, True),
        ({"groups": {"A": ["*"]}, "writes": {}}, True),
        ({"groups": {"A": ["*"]}, "writes": {"A": ["*", "name", "custom:plan"], "B": []}}, True),
        ({"groups": {"A": ["*"]}, "writes": {"A": ["sub"]}}, False),
        ({"groups": {"A": ["*"]}, "writes": {"A": ["cognito:user_status"]}}, False),
        ({"groups": {"A": ["*"]}, "writes": {" ": ["name"]}}, False),
        ({"groups": {"A": ["*"]}, "grants": {"A": ["*", "B"], "C": []}}, True),
        ({"groups": {"A": ["*"]}, "protected": {"users": [SUB, "*"], "groups": ["*"]}}, True),
        ({"groups": {"A": ["*"]}, "protected": {"users": ["ada"]}}, False),
        ({"groups": {"A": ["*"]}, "protected": {"user": []}}, False),
        ({"groups": {"A": ["*"]}, "reads": {"A": ["email"]}, "masks": {"A": ["name"]}}, True),
        ({"groups": {"A": ["*"]}, "reads": {"A": ["sub", "identities"]}}, True),
        ({"groups": {"A": ["*"]}, "reads": {"A": ["two words"]}}, False),
        ({"groups": {"A": ["*"]}, "masks": {"A": ["*"], "B": []}}, True),
        ({"groups": {"A": ["*"]}, "masks": {"A": ["phone_number_verified"]}}, False),
    ],
)
def test_file_schema(document: dict[str, Any], valid: bool) -> None:
    """The schema and the parser take what is valid, and nothing else."""
    Draft7Validator.check_schema(make_schema())
    assert SCHEMA.is_valid(document) is valid
    assert _accepts(document) is valid


def test_file_schema_patterns() -> None:
    """Patterns are whole, since an editor looks for them anywhere in a name."""
    words = [
        word
        for table in make_tables().values()
        for word in [table.key, *(names.word for names in table.lists.values())]
        if word
    ]
    assert words
    assert all(re.fullmatch(r"\^.*\$", word.pattern) for word in words)
