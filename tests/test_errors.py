"""Every error that a client can meet: its code, its status, and where it is written."""

import re
from pathlib import Path

import pytest

from graphql_admin import errors
from graphql_admin.admin.action_errors import ActionError
from graphql_admin.errors import (
    ActionFailed,
    AdminError,
    BadUserInput,
    Refusal,
    UserNotFound,
    leaves,
)

PAGE = (Path(__file__).parent.parent / "docs" / "errors.md").read_text(encoding="utf-8")

OUTCOMES, REFUSALS = PAGE.split("\n## All other errors\n")
"""The part of the page on what payloads have, and that on top-level errors."""

LEAVES = list(leaves())


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_error_is_documented(kind: type[AdminError]) -> None:
    """Every code is in the tree at the top of the module, and once in the docs, with its status.

    There the docs also say what the client does.
    """
    assert re.search(rf"── {kind.__name__} +{kind.code}\b", errors.__doc__ or "")
    part = REFUSALS if issubclass(kind, Refusal) else OUTCOMES
    (row,) = re.findall(rf"^\| `{kind.code}` \| (.+) \|$", part, re.MULTILINE)
    status, _, remedy = row.split(" | ")
    assert (status, remedy) == (str(kind.status), kind.remedy)
    assert kind.message


def test_invalid_value_is_documented() -> None:
    """The code that a payload alone has is in the docs with the code and status over REST."""
    (row,) = re.findall(r"^\| `INVALID_VALUE` \| (.+) \|$", PAGE, re.MULTILINE)
    status, _, remedy = row.split(" | ")
    assert (status, remedy) == ("400, `BAD_USER_INPUT`", BadUserInput.remedy)


def test_codes_are_unique() -> None:
    """No two errors have the same code, among those of payloads and among the others."""
    for kinds in (list(leaves(Refusal)), list(leaves(ActionFailed))):
        codes = [kind.code for kind in kinds]
        assert len(set(codes)) == len(codes)


def test_invalid_value_in_a_payload() -> None:
    """A payload says of a value what is wrong with it, and in which field."""
    error = ActionError.from_error(BadUserInput("Too long.", field="username"))
    assert (error.code.name, error.message, error.field) == (
        "INVALID_VALUE",
        "Too long.",
        "username",
    )
    assert ActionError.from_error(UserNotFound()).field == "username"
