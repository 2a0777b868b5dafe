"""`graphql-admin check`: whether the pool, its keys and the server's rights are what it takes."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from graphql_admin.actions import Action
from graphql_admin.app import make_parts
from graphql_admin.cognito.access import MissingRight
from graphql_admin.errors import AdminError, BadUserInput, GroupNotFound, UserNotFound
from graphql_admin.policy.iam import checks_of
from graphql_admin.settings import PREFIX, Settings

PROBES: Mapping[str, Mapping[str, object]] = {
    "AdminGetUser": {"Username": "graphql-admin-check"},
    "AdminListGroupsForUser": {"Username": "graphql-admin-check"},
    "GetGroup": {"GroupName": "graphql-admin-check"},
    "ListGroups": {"Limit": 1},
    "ListUsers": {"Limit": 1},
    "ListUsersInGroup": {"GroupName": "graphql-admin-check"},
}
"""Calls that change nothing, one for each operation that only reads."""

PAGE = 60
"""Groups that are listed at a time; Cognito allows no more."""

_TOKEN_MODE = f"{PREFIX}AUTHORITY_MAX_AGE=token"

_Read: TypeAlias = Callable[..., Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class Findings:
    """What was found, in sentences."""

    problems: list[str] = field(default_factory=list)
    """What is wrong."""

    notes: list[str] = field(default_factory=list)
    """What may be wrong, or could not be looked at."""


async def check(settings: Settings) -> Findings:
    """Ask the pool and its keys whether they answer, and compare the policy with the pool.

    Raises:
        InvalidSettings: The settings do not fit the environment.
    """
    parts = make_parts(settings)
    findings = Findings()
    try:
        await parts.verifier.keys.load()
    except AdminError:
        findings.problems.append("The pool's keys could not be fetched; see the log.")

    async def read(operation: str, **parameters: object) -> dict[str, Any]:
        deadline = asyncio.get_running_loop().time() + settings.deadline
        return await parts.pool.reader.read(operation, parameters, deadline=deadline)

    async with parts.pool:
        if await _check_rights(settings, read, findings):
            await _check_groups(settings, read, findings)
            await _check_trigger(settings, read, findings)
    return findings


async def _check_rights(settings: Settings, read: _Read, findings: Findings) -> bool:
    """Make each call that only reads, and return whether the pool answers."""
    enabled = set(Action) - settings.disabled_actions
    checks = checks_of(enabled, knows_groups=settings.knows_groups)
    operations = {operation for action in enabled for operation in action.operations}
    probed = sorted(PROBES.keys() & {*operations, *checks})
    if not probed:
        findings.problems.append("The user pool was not asked: no enabled action reads from it.")
        return False
    for operation in probed:
        try:
            await read(operation, **PROBES[operation])
        except (UserNotFound, GroupNotFound):
            pass
        except MissingRight:
            consequence = " Without it every change is refused." if operation in checks else ""
            findings.problems.append(
                f"The server's own credentials have no right to {operation}.{consequence} "
                "`graphql-admin iam-policy` prints all that they need."
            )
        except AdminError as error:
            findings.problems.append(
                f"The user pool did not answer well ({error.code}); see the log."
            )
            return False
    return True


async def _check_groups(settings: Settings, read: _Read, findings: Findings) -> None:
    """Compare the groups that the policy names with those of the pool."""
    named = settings.policy.named_groups
    not_compared = "The groups of the policy were not compared with those of the pool: "
    if not settings.knows_groups:
        findings.notes.append(f"{not_compared}with {_TOKEN_MODE}, tokens have them.")
        return
    for action, find in ((Action.GET_GROUP, _get_groups), (Action.LIST_GROUPS, _list_groups)):
        if action in settings.disabled_actions:
            continue
        try:
            missing = named - await find(named, read)
        except AdminError:
            continue
        if missing:
            listed = ", ".join(map(repr, sorted(missing)))
            findings.problems.append(
                f"The policy names groups that the pool does not have: {listed}."
            )
        return
    findings.notes.append(f"{not_compared}neither GetGroup nor ListGroups can be called.")


async def _get_groups(named: Collection[str], read: _Read) -> set[str]:
    found = set()
    for name in sorted(named):
        try:
            await read("GetGroup", GroupName=name)
        except (GroupNotFound, BadUserInput):  # or it cannot be the name of one
            continue
        found.add(name)
    return found


async def _list_groups(named: Collection[str], read: _Read) -> set[str]:
    found: set[str] = set()
    position: dict[str, object] = {}
    while not found.issuperset(named):
        reply = await read("ListGroups", Limit=PAGE, **position)
        found.update(_names(reply.get("Groups")))
        if not reply.get("NextToken") or reply["NextToken"] == position.get("NextToken"):
            break
        position = {"NextToken": reply["NextToken"]}
    return found


def _names(rows: object) -> Iterator[str]:
    for row in rows if isinstance(rows, list) else ():
        name = row.get("GroupName") if isinstance(row, dict) else None
        if isinstance(name, str):
            yield name


async def _check_trigger(settings: Settings, read: _Read, findings: Findings) -> None:
    """Look for the Lambda trigger that may write other groups into tokens than the pool has."""
    try:
        pool = (await read("DescribeUserPool")).get("UserPool")
    except AdminError:
        pool = None
    if not isinstance(pool, dict):
        findings.notes.append(
            "Whether the pool has a Pre-token-generation trigger was not looked at: "
            "DescribeUserPool cannot be called, which the server itself does not need. If there is "
            f"one that writes `cognito:groups`, set {_TOKEN_MODE}."
        )
        return
    triggers = pool.get("LambdaConfig")
    has_trigger = isinstance(triggers, dict) and any(
        triggers.get(name) for name in ("PreTokenGeneration", "PreTokenGenerationConfig")
    )
    if has_trigger and settings.knows_groups:
        findings.notes.append(
            "The pool has a Pre-token-generation trigger. If it writes `cognito:groups`, set "
            f"{_TOKEN_MODE}: a group counts for a change only if the pool has it, too."
        )
    elif not has_trigger and not settings.knows_groups:
        findings.notes.append(
            f"{_TOKEN_MODE}, and the pool has no Pre-token-generation trigger: without that "
            "setting, whoever is removed from a group would lose its rights within seconds."
        )
