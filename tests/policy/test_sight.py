"""What of a user's attributes callers see: the two tables, several groups, and masks."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_admin.actions import Action
from graphql_admin.policy.decisions import (
    Allowed,
    Decisions,
    Denied,
    KnownTarget,
    KnownUser,
    NeedsTarget,
    Principal,
    TargetRead,
)
from graphql_admin.policy.file import read_policy
from graphql_admin.policy.grants import Grants, Rights
from graphql_admin.policy.sight import ALL, ALWAYS_SEEN, BLIND, WHOLE, Seen, Sight, mask

NAMES = ("email", "email_verified", "phone_number", "name", "custom:plan", "sub")
SIGHTS = st.builds(
    Sight,
    st.frozensets(st.sampled_from([*NAMES, ALL])),
    st.frozensets(st.sampled_from([*NAMES, ALL])),
)


@pytest.mark.parametrize(
    ("attribute", "value", "shown"),
    [
        ("email", "anna@example.com", "a***@e***"),
        ("email", "a@b", "a***@b***"),
        ("email", "Ünal@Österreich.example", "Ü***@Ö***"),
        ("email", '"a@b"@example.com', "***"),
        ("email", "no address", "***"),
        ("email", "@example.com", "***"),
        ("email", "anna@", "***"),
        ("phone_number", "+4915550417263", "+*******7263"),
        ("phone_number", "+15550100", "+*******0100"),
        ("phone_number", "+1555010", "***"),
        ("phone_number", "004915550417263", "***"),
        ("phone_number", "+49 1555 0417263", "***"),
        ("phone_number", "+4915550417263\n", "***"),
        ("phone_number", "+٤٩١٥٥٥٠٤١٧٢٦٣", "***"),
        ("name", "Anna", "***"),
        ("name", "anna@example.com", "***"),
        ("custom:email", "anna@example.com", "***"),
        ("email", "", ""),
    ],
)
def test_masks(attribute: str, value: str, shown: str) -> None:
    """The two kinds of addresses are seen in part, of everything else that there is a value."""
    assert mask(attribute, value) == shown


@given(st.sampled_from(NAMES), st.text(min_size=1), st.text(min_size=1))
def test_masks_tell_little(attribute: str, value: str, other: str) -> None:
    """No more than four characters of a value are seen, and not how many there are."""
    assert sum(each not in "*@+" for each in mask(attribute, value)) <= 4
    if attribute == "email" and "@" not in value + other:
        first, second = f"{value}@{other}", f"{value}{other}@{other}{value}"
        assert mask(attribute, first) == mask(attribute, second)


@given(SIGHTS, SIGHTS, SIGHTS)
def test_union(one: Sight, two: Sight, three: Sight) -> None:
    """Who has two of them sees of each attribute the more of both, and that covers either."""
    both = one.united_with(two)
    for name in (*NAMES, "custom:other"):
        assert both.of(name) is max(one.of(name), two.of(name))
    assert both.covers(one)
    assert both.covers(two)
    is_covered = three.covers(one) and three.covers(two)
    assert three.covers(both) is is_covered
    assert WHOLE.covers(one)
    assert one.covers(BLIND)


@given(SIGHTS)
def test_whole_is_what_it_says(sight: Sight) -> None:
    """A sight that is taken for whole hides nothing."""
    if sight.is_whole:
        assert {sight.of(name) for name in (*NAMES, "custom:other")} == {Seen.WHOLE}
        assert not sight.hides_aliases
    assert {sight.of(name) for name in ALWAYS_SEEN} == {Seen.WHOLE}


POLICY = read_policy("""
[groups]
Admins = ["*"]
Owners = ["*"]
Support = ["getUser"]
Readers = ["getUser"]
Others = ["getUser"]
[scopes]
"api/x" = ["getUser"]
[reads]
Owners = ["name"]
Support = ["email"]
Readers = []
"api/x" = ["phone_number"]
[masks]
Support = ["phone_number"]
Readers = ["name", "email"]
Guests = ["custom:plan"]
""")
NOTHING, IN_PART, SEEN = Seen


@pytest.mark.parametrize(
    ("groups", "seen"),
    [
        (["Admins"], (SEEN, SEEN, SEEN, SEEN, SEEN)),
        (["Owners"], (NOTHING, NOTHING, NOTHING, SEEN, NOTHING)),
        (["Support"], (SEEN, SEEN, IN_PART, NOTHING, NOTHING)),
        (["Readers"], (IN_PART, SEEN, NOTHING, IN_PART, NOTHING)),
        (["Support", "Readers"], (SEEN, SEEN, IN_PART, IN_PART, NOTHING)),
        (["Owners", "Readers"], (IN_PART, SEEN, NOTHING, SEEN, NOTHING)),
        (["Guests"], (NOTHING, NOTHING, NOTHING, NOTHING, IN_PART)),
        (["Others"], (NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)),
        ([], (NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)),
        (["Others", "Admins", "Readers"], (SEEN, SEEN, SEEN, SEEN, SEEN)),
        (["api/x"], (NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)),  # the name of a scope
    ],
    ids=str,
)
def test_groups(groups: list[str], seen: tuple[Seen, ...]) -> None:
    """Read beats masked, and masked beats hidden, across a caller's groups."""
    sight = Grants(POLICY).of_user(frozenset(groups)).sight
    attributes = ("email", "email_verified", "phone_number", "name", "custom:plan")
    assert tuple(map(sight.of, attributes)) == seen


def test_masks_alone() -> None:
    """Without `[reads]`, everything is seen that is not masked, by who may do anything."""
    grants = Grants(
        read_policy("""
        groups.Admins = ["*"]
        groups.Support = ["getUser"]
        groups.Readers = ["getUser"]
        masks.Support = ["email"]
        masks.Readers = ["*"]
        """)
    )

    def seen(*groups: str) -> tuple[Seen, Seen, Seen]:
        sight = grants.of_user(frozenset(groups)).sight
        return sight.of("email"), sight.of("email_verified"), sight.of("name")

    assert seen("Admins") == (SEEN, SEEN, SEEN)
    assert seen("Support") == (IN_PART, SEEN, SEEN)
    assert seen("Readers") == (IN_PART, SEEN, IN_PART)
    assert seen("Readers", "Support") == (IN_PART, SEEN, SEEN)
    assert seen("Support", "Admins") == (SEEN, SEEN, SEEN)
    assert seen("Strangers") == (NOTHING, NOTHING, NOTHING)


# Whether what is seen counts as a right

SIGHTED = ('groups.A = ["*"]\ngroups.B = ["*"]\n', "reads.A = []\n", 'masks.A = ["email"]\n')


def of_group(group: str, text: str) -> Rights:
    return Grants(read_policy(text)).of_user(frozenset({group}))


@pytest.mark.parametrize("limit", SIGHTED[1:])
def test_every_right_with_less_than_others_see(limit: str) -> None:
    """Who sees less than another group has not every right: they could take over its members."""
    assert not of_group("A", SIGHTED[0] + limit).has_every
    assert of_group("B", SIGHTED[0] + limit).has_every


@pytest.mark.parametrize("limit", SIGHTED[1:])
def test_every_right_with_what_all_see(limit: str) -> None:
    """Who sees as much as every group, and has all else, has every right."""
    for_all = limit + limit.replace(".A", ".B")
    assert of_group("A", SIGHTED[0] + for_all).has_every
    assert not of_group("A", SIGHTED[0].replace("*", "getUser", 1) + for_all).has_every


@pytest.mark.parametrize(
    ("limit", "knows_groups"), list(product(("reads.A = []", 'masks.A = ["email"]'), (True, False)))
)
def test_aliases_that_are_hidden_are_looked_up(limit: str, *, knows_groups: bool) -> None:
    """Even for who has every right, whether a name is a user's by what the caller does not see."""
    grants = Grants(read_policy(f'groups.A = ["*"]\n{limit}'))
    decisions = Decisions(grants, knows_groups=knows_groups)
    principal = Principal("anna", grants.of_user(frozenset({"A"})))
    decision = decisions.decide(principal, Action.ENABLE_USER, KnownTarget(KnownUser()))
    hides = "reads" in limit
    if hides:
        assert decision == NeedsTarget(TargetRead.USER)
    else:
        assert isinstance(decision, Allowed)
    most = decisions.most_reads(principal, Action.ENABLE_USER)
    assert most == ((TargetRead.USER,) if hides else ())
    known = KnownTarget(KnownUser("bob"))
    assert isinstance(decisions.decide(principal, Action.ENABLE_USER, known), Allowed)


def test_no_writes_where_rights_are_unknown_and_others_see_more() -> None:
    """Where groups come from the token alone, a target may be one who sees more."""
    grants = Grants(read_policy(SIGHTED[0] + SIGHTED[1]))
    decisions = Decisions(grants, knows_groups=False)
    for group, outcome in (("A", Denied), ("B", Allowed)):
        principal = Principal("anna", grants.of_user(frozenset({group})))
        known = KnownTarget(KnownUser("bob"))
        assert isinstance(decisions.decide(principal, Action.ENABLE_USER, known), outcome)
