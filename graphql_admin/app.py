"""The composition root: settings in, an ASGI application out."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from graphql_admin.actions import Action
from graphql_admin.auth import TokenVerifier
from graphql_admin.cognito import UserPool
from graphql_admin.documents import Documents
from graphql_admin.errors import AdminError, UserNotFound
from graphql_admin.http import GraphQLEndpoint
from graphql_admin.permissions import Policy
from graphql_admin.quota import Quotas
from graphql_admin.schema import AdminSchema
from graphql_admin.settings import Introspection, InvalidSettings, Settings


@dataclass(frozen=True)
class Parts:
    """What the application is made of."""

    settings: Settings
    verifier: TokenVerifier
    pool: UserPool
    policy: Policy
    schema: AdminSchema


def create_app(settings: Settings) -> Starlette:
    """Return the application for the given settings.

    Raises:
        InvalidSettings: The settings do not fit the environment.
    """
    return build_app(make_parts(settings))


def make_parts(settings: Settings) -> Parts:
    """Make what the application is made of, without calling anybody.

    Raises:
        InvalidSettings: The settings do not fit the environment.
    """
    quotas = Quotas(settings.quotas, settings.quota_share)
    pool = UserPool(settings.user_pool_id, settings.region, quotas=quotas)
    if settings.dev and not _is_loopback(pool.endpoint_url):
        raise InvalidSettings(
            ["GRAPHQL_ADMIN_DEV: is for a Cognito on this machine, and the endpoint is elsewhere"]
        )
    return Parts(
        settings=settings,
        verifier=TokenVerifier.from_settings(settings),
        pool=pool,
        policy=Policy(settings.grants, settings.disabled_actions),
        schema=AdminSchema(
            settings.disabled_actions,
            service=settings.introspection is not Introspection.OFF,
        ),
    )


def build_app(parts: Parts) -> Starlette:
    """Return the application made of `parts`."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with parts.pool:
            yield

    endpoint = GraphQLEndpoint(
        schema=parts.schema,
        documents=Documents(
            parts.schema,
            introspection=parts.settings.introspection is not Introspection.OFF,
            max_tokens=parts.settings.max_tokens,
        ),
        verifier=parts.verifier,
        policy=parts.policy,
        pool=parts.pool,
        deadline=parts.settings.deadline,
        anonymous=parts.settings.introspection is Introspection.PUBLIC,
    )
    return Starlette(
        routes=[Route("/graphql", endpoint), Route("/healthz", healthz)],
        lifespan=lifespan,
    )


async def healthz(_: Request) -> Response:
    """Say that the process is alive."""
    return PlainTextResponse("ok\n")


async def check(settings: Settings) -> list[str]:
    """Ask the pool and its keys whether they answer.

    Returns:
        What is wrong with them, in sentences.

    Raises:
        InvalidSettings: The settings do not fit the environment.
    """
    parts = make_parts(settings)
    problems = []
    try:
        await parts.verifier.keys.load()
    except AdminError:
        problems.append("The pool's keys could not be fetched; see the log.")
    operations = {
        operation
        for action in set(Action) - settings.disabled_actions
        for operation in action.operations
        if operation in PROBES
    }
    async with parts.pool:
        for operation in sorted(operations)[:1]:
            deadline = asyncio.get_running_loop().time() + settings.deadline
            try:
                await parts.pool.call(operation, PROBES[operation], deadline=deadline)
            except UserNotFound:
                pass
            except AdminError as error:
                problems.append(f"The user pool did not answer well ({error.code}); see the log.")
    return problems


PROBES: Mapping[str, Mapping[str, object]] = {
    "AdminGetUser": {"Username": "graphql-admin-check"},
    "ListGroups": {"Limit": 1},
    "ListUsers": {"Limit": 1},
}
"""Calls that change nothing, of which the first that the policy needs is made by `check`."""


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
