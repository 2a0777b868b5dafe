"""The tables of a policy file, from which its parser and its schema are derived."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphql_admin.actions import Action
from graphql_admin.policy.grants import ANYONE, FOR_ANYONE, NOT_FOR_MACHINES
from graphql_admin.policy.sight import ALL

_NOT_BLANK = r"^[\s\S]*\S[\s\S]*$"
_SCOPE = (
    r"^([\x21\x23-\x29\x2b-\x5b\x5d-\x7e]|\*[\x21\x23-\x5b\x5d-\x7e])[\x21\x23-\x5b\x5d-\x7e]*$"
)
"""RFC 6749, section 3.3, except `*`, which is not accepted as a scope."""
_SUB = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"

SETTING = tuple(action.label for action in Action if action.row.sets_attributes)
"""Names of the actions that set the attributes of `[writes]`."""

_ACTIONS = tuple(action.label for action in Action)


@dataclass(frozen=True, slots=True)
class Word:
    """A kind of name in the file."""

    what: str
    """What it is, as the end of a sentence: "… is not {what}"."""

    pattern: str
    """A regular expression for the whole name, from `^` to `$`, with the same meaning in Python and
    ECMA-262."""


SETTABLE = Word(
    "an attribute that can be set",
    r"^(?!(sub|identities)$|cognito:|dev:)[^\s\x00-\x1f\x7f-\x9f\ufeff]{1,32}$",
)
"""The name of an attribute, without those that Cognito sets itself, and the legacy attributes that
only developers see."""

SEEN = Word("the name of an attribute", r"^[^\s\x00-\x1f\x7f-\x9f\ufeff]{1,32}$")

MASKED = Word(
    "an attribute that can be masked",
    r"^(?!(sub|email_verified|phone_number_verified)$)[^\s\x00-\x1f\x7f-\x9f\ufeff]{1,32}$",
)
"""The name of an attribute, without those that are always seen, or come with another one: there is
no part of "true" to show."""


@dataclass(frozen=True, slots=True)
class Names:
    """A list of names, or `*` for all."""

    description: str
    example: str
    """An example in TOML."""

    word: Word | None = None
    choices: tuple[str, ...] = ()
    """The allowed names, if they are fixed."""

    refused: Mapping[str, str] = field(default_factory=dict)
    """Why an action is not among the choices, as a sentence."""

    may_be_empty: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table of lists of names."""

    description: str
    lists: Mapping[str, Names]
    """Lists with fixed keys."""

    others: Names | None = None
    """Lists with any other key."""

    key: Word | None = None
    """What such a key names."""

    may_be_empty: bool = True


def _actions(description: str, *, without: Mapping[str, str]) -> Names:
    return Names(
        description=description,
        example='["listUsers", "getUser"]',
        choices=tuple(label for label in _ACTIONS if label not in without),
        refused=without,
    )


def make_tables(for_anyone: frozenset[Action] = FOR_ANYONE) -> Mapping[str, Table]:
    """Return the tables by name.

    Args:
        for_anyone: The actions that every signed-in user can be given.
    """
    group = Word("the name of a group", _NOT_BLANK)
    groups = Names("Names of groups.", '["Customers"]', word=group, may_be_empty=True)
    subs = Names(
        "Users that cannot be changed through this server: the `sub` of each.",
        '["6f1c0000-0000-4000-8000-000000000000"]',
        word=Word("the `sub` of a user, a UUID", _SUB),
        may_be_empty=True,
    )
    not_for_anyone = {
        label: f"{label!r} cannot be given to every signed-in user; name groups"
        for label in _ACTIONS
        if Action.labelled(label) not in for_anyone
    }
    not_for_machines = {
        action.label: f"{action.label!r} cannot be given to a machine"
        for action in NOT_FOR_MACHINES
    }
    return {
        "groups": Table(
            "What the members of each group may do.",
            {
                ANYONE: _actions("What every signed-in user may do.", without=not_for_anyone),
            },
            others=_actions("What the members of this group may do.", without={}),
            key=group,
            may_be_empty=False,
        ),
        "scopes": Table(
            "What a machine may do whose token has a scope. Without this table, machines are "
            "not accepted.",
            {},
            others=_actions("What clients with this scope may do.", without=not_for_machines),
            key=Word("an OAuth scope", _SCOPE),
            may_be_empty=False,
        ),
        "grants": Table(
            "To which groups the members of a group, or clients with a scope, may add users, "
            "and from which they may remove them. Without this table, to and from all that give "
            "no more than they have. With it, those that it does not name have none, except "
            f'groups and scopes with ["{ALL}"].',
            {},
            others=groups,
            key=Word("the name of a group or scope", _NOT_BLANK),
        ),
        "writes": Table(
            "Which attributes members of a group, or clients with a scope, may set with "
            f"{' and '.join(SETTING)}. Those that have one of these actions must be named here, "
            f'except with ["{ALL}"]. With this table, those that it does not name may set none, '
            f'except groups and scopes with ["{ALL}"], which may set all.',
            {},
            others=Names(
                "Names of attributes. `email` brings `email_verified`, and `phone_number` its own.",
                '["name", "custom:plan"]',
                word=SETTABLE,
                may_be_empty=True,
            ),
            key=Word("the name of a group or scope", _NOT_BLANK),
        ),
        "reads": Table(
            "Which attributes of users members of a group, or clients with a scope, see. Without "
            "this table: all that [masks] does not name for them. With it, those that it does not "
            f'name see none, except groups and scopes with ["{ALL}"]. Username, `sub`, status and '
            "dates are always seen.",
            {},
            others=Names(
                "Names of attributes. `email` brings `email_verified`, and `phone_number` its own.",
                '["email", "name", "custom:plan"]',
                word=SEEN,
                may_be_empty=True,
            ),
            key=Word("the name of a group or scope", _NOT_BLANK),
        ),
        "masks": Table(
            "Which attributes of users members of a group, or clients with a scope, see in part: "
            "`a***@e***` of an e-mail address, `+*******1234` of a phone number, and `***` of any "
            "other. If another group gives it as a whole, it is seen as a whole.",
            {},
            others=Names(
                "Names of attributes. With `email`, `email_verified` is seen; with `phone_number`, "
                "its own.",
                '["phone_number"]',
                word=MASKED,
                may_be_empty=True,
            ),
            key=Word("the name of a group or scope", _NOT_BLANK),
        ),
        "protected": Table(
            "What cannot be changed through this server.",
            {
                "groups": Names(
                    "Groups that cannot be changed or deleted, nor their membership changed.",
                    groups.example,
                    word=group,
                    may_be_empty=True,
                ),
                "users": subs,
            },
        ),
    }
