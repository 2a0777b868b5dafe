"""`GROUPS_CLAIM`: which groups are in a claim that is not Cognito's own."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from graphql_admin.tokens.groups import MAX_GROUPS, MAX_NAME_LENGTH, read_groups

READ: dict[str, tuple[Any, set[str]]] = {
    "list": (["Admins", "Support"], {"Admins", "Support"}),
    "empty list": ([], set()),
    "list with names that have commas and spaces": (["a, b", " c"], {"a, b", " c"}),
    "list in a string": ('["Admins", "a, b"]', {"Admins", "a, b"}),
    "empty string": ("", set()),
    "spaces": ("  ", set()),
    "one name": ("Admins", {"Admins"}),
    "one name with spaces": ("Security Admins", {"Security Admins"}),
    "names between commas": ("Admins,Support", {"Admins", "Support"}),
    "with spaces": (" Admins , Security Staff ", {"Admins", "Security Staff"}),
    "without a name between": ("Admins,,Support,", {"Admins", "Support"}),
    "in brackets": ("[Admins, Support]", {"Admins", "Support"}),
    "one in brackets": ("[Security Admins]", {"Security Admins"}),
    "nothing in brackets": ("[]", set()),
    "numbers in brackets": ("[1, 2]", {"1", "2"}),
    "brackets within": ("[Team [a], b]", {"Team [a]", "b"}),
    "encoded": ("[Domain+Admins, a%2CAdmins]", {"Domain+Admins", "a%2CAdmins"}),
    "a distinguished name": ("CN=Admins,OU=x", {"CN=Admins", "OU=x"}),
    "every signed-in user": (["*", "a"], {"a"}),
    "every signed-in user in a string": ("[*, a]", {"a"}),
    "as many as may be": ([str(n) for n in range(MAX_GROUPS)], {str(n) for n in range(MAX_GROUPS)}),
    "as long as may be": (["x" * MAX_NAME_LENGTH], {"x" * MAX_NAME_LENGTH}),
    "same name again": ("a,a", {"a"}),
}


@pytest.mark.parametrize(("value", "groups"), READ.values(), ids=READ)
def test_read(value: Any, groups: set[str]) -> None:
    """These forms are read, and nothing is said of them."""
    with capture_logs() as lines:
        assert read_groups(value) == groups
    assert lines == []


NOT_READ: dict[str, Any] = {
    "null": None,
    "number": 7,
    "boolean": True,
    "object": {"Admins": True},
    "list of lists": [["Admins"]],
    "list with a number": ["Admins", 7],
    "list with null": ["Admins", None],
    "object in a string": '["a", {"Admins": 1}]',
    "list with a number in a string": '["Admins", 7]',
    "list in a string that ends early": '["Admins", "x"',
    "list in a string and more": '["Admins"], Admins',
    "bracket without its other": "[Admins, Support",
    "other bracket alone": "Admins, Support]",
    "quoted commas": 'x, "a, Admins, b"',
    "quoted commas in brackets": '[x, "a, Admins, b"]',
    "escaped comma": "a\\, Admins",
    "too many": [str(n) for n in range(MAX_GROUPS + 1)],
    "too many in a string": ",".join(map(str, range(MAX_GROUPS + 1))),
}


@pytest.mark.parametrize("value", NOT_READ.values(), ids=NOT_READ)
def test_not_read(value: Any) -> None:
    """Anything else gives no groups, and the log says why without saying what it was."""
    with capture_logs() as lines:
        assert read_groups(value) == frozenset()
    (line,) = lines
    assert line["event"] == "groups of a token not read"
    assert line["reason"] in {"not in a form that is read", f"more than {MAX_GROUPS}"}
    assert "Admins" not in str(line)


def test_long_name() -> None:
    """A name that is too long for a group is left out."""
    with capture_logs() as lines:
        assert read_groups(["Admins", "x" * (MAX_NAME_LENGTH + 1)]) == {"Admins"}
    assert [line["reason"] for line in lines] == [f"above {MAX_NAME_LENGTH} characters"]
