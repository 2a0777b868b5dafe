"""The composition root: makes an ASGI application from settings."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from graphql_admin.admin.attempts import Attempts
from graphql_admin.admin.authorization import Authorization
from graphql_admin.admin.described_pool import DescribedPool
from graphql_admin.admin.guards import takes_call
from graphql_admin.admin.prices import Prices
from graphql_admin.admin.schema import AdminSchema
from graphql_admin.audit.log import AuditLog
from graphql_admin.cognito.access import PoolReader
from graphql_admin.cognito.pool import InvalidAwsSettings, UserPool
from graphql_admin.cognito.quotas import Quotas
from graphql_admin.engine.documents import Documents
from graphql_admin.engine.limits import Limits
from graphql_admin.errors import AuditUnavailable
from graphql_admin.hosts import AllowedHosts
from graphql_admin.policy.authority import MAX_AGE, Authority
from graphql_admin.policy.decisions import Decisions
from graphql_admin.policy.grants import Grants
from graphql_admin.policy.reservations import LocalReservations
from graphql_admin.settings import Introspection, InvalidSettings, Settings
from graphql_admin.tokens.verifier import TokenVerifier
from graphql_admin.web import explorer
from graphql_admin.web.amplify import AdminQueriesEndpoint
from graphql_admin.web.cors import BrowserSafety
from graphql_admin.web.executor import Executor
from graphql_admin.web.fallbacks import FaultBarrier, refuse_path
from graphql_admin.web.graphql import GraphQLEndpoint, Shortcut
from graphql_admin.web.health import Draining, Health
from graphql_admin.web.in_flight import InFlight
from graphql_admin.web.request_log import RequestLog
from graphql_admin.web.trusted_hosts import TrustedHosts


@dataclass(frozen=True)
class Parts:
    """The parts of the application."""

    settings: Settings
    verifier: TokenVerifier
    pool: UserPool
    audit: AuditLog
    grants: Grants
    authorization: Authorization
    schema: AdminSchema


def create_app(
    settings: Settings, people: Callable[[], Sequence[explorer.Person]] = tuple
) -> "Application":
    """Return the application for these settings.

    Args:
        settings: The settings of the server.
        people: Returns the users to choose from in the explorer, in dev mode.

    Raises:
        InvalidSettings: The settings are invalid in this environment.
    """
    return build_app(make_parts(settings), people)


def make_parts(settings: Settings) -> Parts:
    """Make the parts of the application, without any network call.

    Raises:
        InvalidSettings: The settings are invalid in this environment.
    """
    quotas = Quotas(settings.quotas, settings.quota_share)
    try:
        pool = UserPool(settings.user_pool_id, settings.region, quotas=quotas)
    except InvalidAwsSettings as invalid:
        raise InvalidSettings([str(invalid)]) from invalid
    if settings.dev and not _is_loopback(pool.endpoint_url):
        raise InvalidSettings(["GRAPHQL_ADMIN_DEV: requires a Cognito endpoint on this machine"])
    grants = Grants(
        settings.policy, settings.disabled_actions, groups_attribute=settings.groups_attribute
    )
    return Parts(
        settings=settings,
        verifier=make_verifier(settings),
        pool=pool,
        audit=_open_audit_log(settings.audit_file),
        grants=grants,
        authorization=_make_authorization(settings, grants, pool.reader),
        schema=AdminSchema(
            settings.disabled_actions,
            service=settings.introspection is not Introspection.OFF,
            node_field=settings.node_field,
            auth_directives=settings.auth_directives,
        ),
    )


def make_verifier(settings: Settings) -> TokenVerifier:
    """Return the verifier for the tokens that the settings accept."""
    return TokenVerifier.for_pool(
        settings.user_pool_id,
        settings.region,
        client_ids=settings.client_ids,
        token_uses=settings.token_use,
        issuers=settings.issuer,
        jwks_url=settings.jwks_url,
        admit_public_keys=settings.dev,
        admits_machines=settings.policy.scopes is not None,
        groups_claim=settings.groups_claim,
    )


def build_app(
    parts: Parts, people: Callable[[], Sequence[explorer.Person]] = tuple
) -> "Application":
    """Return the application made of `parts`; see `create_app` for `people`.

    Its `state.health` is its `Health`, and its `state.identify` is `TokenVerifier.identify`. A
    request passes through the parts in the order of this function: the middleware; the endpoint,
    which reads it; the executor, which authenticates the caller and executes the document; the
    guards of its fields, or for a mutation the gate; and then the user pool.
    """
    settings = parts.settings
    root = settings.root_path
    health = Health(parts.verifier.issuers, parts.pool, root)
    described = DescribedPool(parts.pool.reader)
    gate = Attempts(parts.pool.writer, parts.audit, parts.authorization, described)
    executor = _make_executor(parts, gate)
    endpoint: ASGIApp = _make_endpoint(parts, executor)
    if settings.explorer:
        endpoint = explorer.BrowserRedirect(endpoint)
    routes = [
        Route(f"{root}/graphql", endpoint),
        *_make_admin_queries(settings, executor),
        *explorer_routes(settings, people, explorer.describe_changes(parts.schema.graphql_schema)),
        *health.routes(),
    ]
    app = Application(
        middleware=[
            Middleware(RequestLog, paths=[route.path for route in routes], probes=health.paths),
            Middleware(BrowserSafety, origins=settings.cors_origins),
            *_trusted_hosts(settings.hosts, health.paths),
            Middleware(FaultBarrier),
            Middleware(Draining, health=health),
            Middleware(Shortcut, path=f"{root}/graphql", endpoint=endpoint),
        ],
        routes=routes,
        exception_handlers={HTTPException: refuse_path},
        lifespan=_lifespan(parts, health),
    )
    app.router.redirect_slashes = False  # a redirect would lead to the host of the Host header
    app.state.health = health
    app.state.identify = parts.verifier.identify
    return app


def _make_executor(parts: Parts, gate: Attempts) -> Executor:
    return Executor(
        schema=parts.schema,
        verifier=parts.verifier,
        grants=parts.grants,
        decisions=parts.authorization.decisions,
        prices=Prices(
            parts.authorization.decisions,
            standing=2 if parts.settings.knows_groups else 1,
            each_time=parts.settings.authority_max_age == 0,
        ),
        reader=parts.pool.reader,
        gate=gate,
        max_calls=parts.settings.max_calls,
        in_flight=InFlight(parts.settings.max_concurrency),
    )


def _make_endpoint(parts: Parts, executor: Executor) -> GraphQLEndpoint:
    settings = parts.settings
    documents = Documents(
        parts.schema.graphql_schema,
        takes_call,
        introspection=settings.introspection is not Introspection.OFF,
        max_tokens=settings.max_tokens,
        max_calls=settings.max_calls,
        limits=Limits(
            depth=settings.max_depth,
            aliases=settings.max_aliases,
            directives=settings.max_directives,
            root_fields=settings.max_root_fields,
            spreads=settings.max_spreads,
            length=settings.max_document,
            representations=settings.max_representations,
            values=settings.max_values,
        ),
    )
    return GraphQLEndpoint(
        executor=executor,
        documents=documents,
        deadline=settings.deadline,
        max_body=settings.max_body,
        anonymous=settings.introspection is Introspection.PUBLIC,
        get_queries=settings.get_queries,
    )


def _make_admin_queries(settings: Settings, executor: Executor) -> list[Route]:
    if not settings.amplify:
        return []
    endpoint = AdminQueriesEndpoint(
        executor,
        disabled=settings.disabled_actions,
        deadline=settings.deadline,
        max_body=settings.max_body,
    )
    return [Route(f"{settings.root_path}{settings.amplify_path}/{{name:path}}", endpoint)]


def explorer_routes(
    settings: Settings,
    people: Callable[[], Sequence[explorer.Person]] = tuple,
    changes: Sequence[Mapping[str, Any]] = (),
) -> list[Route]:
    """Return the explorer's routes; none if the settings turn it off.

    Args:
        settings: The settings of the server.
        people: Returns the users to choose from; called in dev mode only.
        changes: The schema's mutations, from `explorer.describe_changes`.
    """
    if not settings.explorer:
        return []
    sign_in = None
    if settings.explorer_login_url is not None and settings.explorer_client_id is not None:
        sign_in = explorer.SignIn(
            url=settings.explorer_login_url,
            client_id=settings.explorer_client_id,
            token_use=min(settings.token_use),  # "access" where both kinds are accepted
        )
    return explorer.routes(
        people if settings.dev else tuple,
        root_path=settings.root_path,
        changes=changes,
        introspection=settings.introspection,
        sign_in=sign_in,
    )


def _lifespan(parts: Parts, health: Health) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with parts.pool, health.getting_ready():
            yield
        parts.audit.close()

    return lifespan


def _trusted_hosts(allowed: AllowedHosts, probes: Collection[str]) -> list[Middleware]:
    return [] if allowed.any else [Middleware(TrustedHosts, allowed=allowed, exempt=probes)]


class Application(Starlette):
    """Starlette without its outermost middleware, for faults: `FaultBarrier` handles them."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return the application with its middleware."""
        outermost = super().build_middleware_stack()
        assert isinstance(outermost, ServerErrorMiddleware)  # noqa: S101  # only this one is left out
        return outermost.app


def _make_authorization(settings: Settings, grants: Grants, pool: PoolReader) -> Authorization:
    max_age = settings.authority_max_age
    return Authorization(
        grants,
        Decisions(grants, knows_groups=settings.knows_groups),
        Authority(
            max_age=MAX_AGE if max_age is None else max_age,
            knows_groups=settings.knows_groups,
            clock=_now,
        ),
        LocalReservations(_now),
        pool,
        _now,
    )


def _now() -> float:
    """Return the time of the event loop's clock, which deadlines use."""
    return asyncio.get_running_loop().time()


def _open_audit_log(path: Path | None) -> AuditLog:
    audit = AuditLog(path)
    try:
        audit.demand()
    except AuditUnavailable as error:
        raise InvalidSettings(
            [f"GRAPHQL_ADMIN_AUDIT_FILE: audit events cannot be written: {error.__cause__}"]
        ) from error
    return audit


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
