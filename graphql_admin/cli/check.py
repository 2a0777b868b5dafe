"""`graphql-admin check`: checks the pool, its keys, the server's AWS permissions and the policy."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from graphql_admin.actions import Action
from graphql_admin.app import make_parts
from graphql_admin.cognito.access import MissingRight
from graphql_admin.cognito.operations import is_read, service_model
from graphql_admin.errors import (
    AdminError,
    BadUserInput,
    DevicesNotShown,
    GroupNotFound,
    NotEnabled,
    TimedOut,
    UserNotFound,
)
from graphql_admin.policy.iam import checks_of, lookups_of, settings_of
from graphql_admin.settings import PREFIX, Settings
from graphql_admin.tokens.caller import TokenUse

_GIVEN: Mapping[str, object] = {
    "Username": "graphql-admin-check",
    "GroupName": "graphql-admin-check",
    "Limit": 1,
}
"""What a probe gives of an operation's parameters: names that need not exist, and a short page."""


def probe_of(operation: str) -> dict[str, object] | None:
    """Return the parameters of a call that shows whether there is a right to a read operation.

    Returns:
        None if it changes something, or requires more than a user, a group and the pool.
    """
    shape = service_model().operation_model(operation).input_shape
    if shape is None or not is_read(operation):
        return None
    if not {*_GIVEN, "UserPoolId"}.issuperset(shape.required_members):
        return None
    return {name: value for name, value in _GIVEN.items() if name in shape.members}


PAGE = 60
"""Groups per page; Cognito allows no more."""

_TOKEN_MODE = f"{PREFIX}AUTHORITY_MAX_AGE=token"

_OWN_PROFILE = "aws.cognito.signin.user.admin"
"""The OAuth scope of access tokens with which users may change their own attributes. Tokens that
were not obtained through the hosted pages always have it."""

_FLOWS_WITHOUT_SIGN_IN = frozenset({"ALLOW_REFRESH_TOKEN_AUTH"})


def reads_of_check(settings: Settings) -> tuple[str, ...]:
    """Return the operations that only `check` calls."""
    return () if settings.groups_attribute is None else ("DescribeUserPoolClient",)


_Read: TypeAlias = Callable[..., Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class Findings:
    """The findings, as sentences."""

    problems: list[str] = field(default_factory=list)
    """Problems."""

    notes: list[str] = field(default_factory=list)
    """What may be wrong, or could not be checked."""


async def check(settings: Settings) -> Findings:
    """Check that the pool and its keys can be reached, and compare the policy with the pool.

    Raises:
        InvalidSettings: The settings are invalid in this environment.
    """
    parts = make_parts(settings)
    findings = Findings()
    for issuer, keys in parts.verifier.issuers:
        try:
            await keys.load()
        except AdminError:
            whose = "pool's keys" if parts.verifier.issuers.only else f"keys of {issuer}"
            findings.problems.append(f"The {whose} could not be fetched; see the log.")

    async def read(operation: str, **parameters: object) -> dict[str, Any]:
        deadline = asyncio.get_running_loop().time() + settings.deadline
        return await parts.pool.reader.read(operation, parameters, deadline=deadline)

    async with parts.pool:
        if await _check_rights(settings, read, findings):
            await _check_groups(settings, read, findings)
            pool = await _describe(read)
            _check_trigger(settings, pool, findings)
            _check_attributes(settings, pool, findings)
            if settings.groups_attribute is not None:
                await _check_groups_claim(settings, settings.groups_attribute, pool, read, findings)
    return findings


async def _check_rights(settings: Settings, read: _Read, findings: Findings) -> bool:
    """Make a call of each read operation, and return whether the pool answers any."""
    enabled = set(Action) - settings.disabled_actions
    checks = checks_of(enabled, knows_groups=settings.knows_groups)
    operations = {operation for action in enabled for operation in action.operations}
    called = sorted({*operations, *checks, *lookups_of(enabled), *settings_of(enabled)})
    probes = {each: probe_of(each) for each in called}
    probed = {each: probe for each, probe in probes.items() if probe is not None}
    if not probed:
        findings.problems.append("The user pool was not checked: no enabled action reads from it.")
        return False
    failed: dict[str, AdminError] = {}
    answers = False
    for operation, probe in probed.items():
        try:
            await read(operation, **probe)
        except (DevicesNotShown, GroupNotFound):
            continue  # by which Cognito may mean that there is no such pool
        except UserNotFound:
            pass
        except MissingRight:
            consequence = " Without it, every change is rejected." if operation in checks else ""
            findings.problems.append(
                f"The server's own credentials may not call {operation}.{consequence} "
                "`graphql-admin iam-policy` prints all the permissions that they need."
            )
        except NotEnabled:
            findings.notes.append(f"The user pool's plan or settings do not support {operation}.")
        except AdminError as error:  # an emulator may lack the operation, and have the others
            failed[operation] = error
            if isinstance(error, TimedOut) and not answers:
                break  # the others would take as long
            continue
        answers = True
    if failed and not answers:
        code = next(iter(failed.values())).code
        findings.problems.append(f"The call to the user pool failed ({code}); see the log.")
        return False
    findings.problems.extend(
        f"The call of {operation} failed ({failure.code}); see the log. An emulator may lack it."
        for operation, failure in failed.items()
    )
    return True


async def _check_groups(settings: Settings, read: _Read, findings: Findings) -> None:
    """Compare the groups in the policy with those of the pool."""
    named = settings.policy.named_groups
    not_compared = "The groups in the policy were not compared with those of the pool: "
    if not settings.knows_groups:
        findings.notes.append(f"{not_compared}with {_token_mode(settings)}, tokens have them.")
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
                f"The policy has groups that the pool does not have: {listed}."
            )
        return
    findings.notes.append(f"{not_compared}neither GetGroup nor ListGroups can be called.")


def _token_mode(settings: Settings) -> str:
    """Return the setting by which the groups of tokens are not the pool's."""
    if settings.groups_attribute is None:
        return _TOKEN_MODE
    return f"{PREFIX}GROUPS_CLAIM={settings.groups_claim}"


async def _check_groups_claim(
    settings: Settings,
    attribute: str,
    pool: dict[str, Any] | None,
    read: _Read,
    findings: Findings,
) -> None:
    """Look for app clients through which users could write the source of their groups."""
    if not _is_attribute(attribute, pool):
        findings.notes.append(
            f"{_token_mode(settings)} is no attribute of users. What it is made from "
            "decides who has which rights."
        )
        return
    if TokenUse.ID not in settings.token_use:
        findings.notes.append(
            f"{_token_mode(settings)}, and {PREFIX}TOKEN_USE has no `id`: access tokens have no "
            "attributes unless a pre token generation trigger writes them."
        )
    creation = (pool or {}).get("AdminCreateUserConfig")
    is_closed = isinstance(creation, dict) and creation.get("AllowAdminCreateUserOnly") is True
    for client_id in sorted(settings.client_ids):
        try:
            reply = await read("DescribeUserPoolClient", ClientId=client_id)
        except AdminError:
            findings.notes.append(
                f"Whether the app client {client_id} may write {attribute} was not checked: "
                "DescribeUserPoolClient cannot be called. If it may, its users may give "
                "themselves any group."
            )
            continue
        client = reply.get("UserPoolClient")
        if not isinstance(client, dict) or not _may_write(client, attribute):
            continue
        if is_closed and not _gives_access_to_profiles(client):
            findings.notes.append(
                f"The app client {client_id} may write {attribute}, as an identity provider's "
                "mapping requires. Users cannot do so themselves as long as it has no sign-in but "
                f"the hosted pages, and no scope {_OWN_PROFILE}, and the pool no self-registration."
            )
        else:
            findings.problems.append(
                f"The app client {client_id} may write {attribute}, so users may give themselves "
                "any group. Take it out of the client's write permissions. If an identity "
                "provider is mapped to it, turn self-registration off in the pool, and leave the "
                f"client only sign-in with the hosted pages, without the scope {_OWN_PROFILE}."
            )


def _is_attribute(claim: str, pool: dict[str, Any] | None) -> bool:
    """Tell whether a claim can be of an attribute of users, by the pool's schema if it is known."""
    known = _names_of_attributes(pool) if pool is not None else set()
    return claim in known if known else claim.startswith("custom:") or ":" not in claim


def _may_write(client: Mapping[str, Any], attribute: str) -> bool:
    # Where none are named, these are the standard attributes.
    named = client.get("WriteAttributes")
    return attribute in named if named else not attribute.startswith("custom:")


def _gives_access_to_profiles(client: Mapping[str, Any]) -> bool:
    """Tell whether users can get tokens of an app client by which they may change themselves."""
    flows = client.get("ExplicitAuthFlows") or ["the default ones"]
    scopes = client.get("AllowedOAuthScopes") or []
    return not _FLOWS_WITHOUT_SIGN_IN.issuperset(flows) or _OWN_PROFILE in scopes


async def _get_groups(named: Collection[str], read: _Read) -> set[str]:
    found = set()
    for name in sorted(named):
        try:
            await read("GetGroup", GroupName=name)
        except (GroupNotFound, BadUserInput):  # or not a valid name of a group
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


async def _describe(read: _Read) -> dict[str, Any] | None:
    """Return the pool's settings; None if they cannot be read."""
    try:
        pool = (await read("DescribeUserPool")).get("UserPool")
    except AdminError:
        return None
    return pool if isinstance(pool, dict) else None


def _check_attributes(settings: Settings, pool: dict[str, Any] | None, findings: Findings) -> None:
    """Compare the attributes in the policy with those of the pool."""
    named = settings.policy.named_attributes
    if not named:
        return
    if pool is None:
        findings.notes.append(
            "The attributes in the policy were not compared with those of the pool: "
            "DescribeUserPool cannot be called."
        )
        return
    if missing := named - _names_of_attributes(pool):
        listed = ", ".join(map(repr, sorted(missing)))
        findings.problems.append(
            f"The policy has attributes that the pool does not have: {listed}."
        )


def _names_of_attributes(pool: dict[str, Any]) -> set[str]:
    schema = pool.get("SchemaAttributes")
    rows = schema if isinstance(schema, list) else []
    return {str(row.get("Name")) for row in rows if isinstance(row, dict)}


def _check_trigger(settings: Settings, pool: dict[str, Any] | None, findings: Findings) -> None:
    """Check for the Lambda trigger that may put other groups into tokens than the pool has."""
    if pool is None:
        findings.notes.append(
            "Whether the pool has a pre token generation trigger was not checked: "
            "DescribeUserPool cannot be called. If there is "
            f"one that writes `cognito:groups`, set {_TOKEN_MODE}."
        )
        return
    triggers = pool.get("LambdaConfig")
    has_trigger = isinstance(triggers, dict) and any(
        triggers.get(name) for name in ("PreTokenGeneration", "PreTokenGenerationConfig")
    )
    if has_trigger and settings.knows_groups:
        findings.notes.append(
            "The pool has a pre token generation trigger. If it writes `cognito:groups`, set "
            f"{_TOKEN_MODE}: otherwise a group counts for a change only if the pool has it, too."
        )
    elif not has_trigger and settings.authority_max_age is None:
        findings.notes.append(
            f"{_TOKEN_MODE}, and the pool has no pre token generation trigger: without that "
            "setting, a user who is removed from a group loses its rights within seconds."
        )
