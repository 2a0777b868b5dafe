"""The composition root: settings in, an ASGI application out."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from graphql_admin.admin.attempts import Attempts
from graphql_admin.admin.authorization import Authorization
from graphql_admin.admin.schema import AdminSchema
from graphql_admin.audit.log import AuditLog
from graphql_admin.cognito.pool import UserPool
from graphql_admin.cognito.quotas import Quotas
from graphql_admin.cognito.shares import Places
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
from graphql_admin.web.graphql import FaultBarrier, GraphQLEndpoint, Shortcut, refuse_path
from graphql_admin.web.health import PATHS, Gate, Health
from graphql_admin.web.request_log import RequestLog
from graphql_admin.web.trusted_hosts import TrustedHosts


@dataclass(frozen=True)
class Parts:
    """What the application is made of."""

    settings: Settings
    verifier: TokenVerifier
    pool: UserPool
    audit: AuditLog
    grants: Grants
    authorization: Authorization
    schema: AdminSchema


def create_app(
    settings: Settings, people: Callable[[], Sequence[explorer.Person]] = tuple
) -> Starlette:
    """Return the application for the given settings.

    Args:
        settings: The server's.
        people: Says whom one may be in the explorer, in dev mode.

    Raises:
        InvalidSettings: The settings do not fit the environment.
    """
    return build_app(make_parts(settings), people)


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
    grants = Grants(settings.policy, settings.disabled_actions)
    return Parts(
        settings=settings,
        verifier=TokenVerifier.from_settings(settings),
        pool=pool,
        audit=_open_audit_log(settings.audit_file),
        grants=grants,
        authorization=_make_authorization(settings, grants),
        schema=AdminSchema(
            settings.disabled_actions,
            service=settings.introspection is not Introspection.OFF,
            node_field=settings.node_field,
            auth_directives=settings.auth_directives,
        ),
    )


def build_app(parts: Parts, people: Callable[[], Sequence[explorer.Person]] = tuple) -> Starlette:
    """Return the application made of `parts`; see `create_app` for `people`.

    Its `state.health` is its `Health`.
    """
    settings = parts.settings
    health = Health(parts.verifier.keys, parts.pool)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with parts.pool, health.getting_ready():
            yield
        parts.audit.close()

    executor = Executor(
        schema=parts.schema,
        verifier=parts.verifier,
        grants=parts.grants,
        decisions=parts.authorization.decisions,
        reader=parts.pool.reader,
        gate=Attempts(parts.pool.writer, parts.audit, parts.authorization),
        max_calls=settings.max_calls,
        places=Places(settings.max_concurrency),
    )
    endpoint = GraphQLEndpoint(
        executor=executor,
        documents=Documents(
            parts.schema,
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
        ),
        deadline=settings.deadline,
        max_body=settings.max_body,
        anonymous=settings.introspection is Introspection.PUBLIC,
        get_queries=settings.get_queries,
    )
    door = explorer.Doorway(endpoint) if settings.explorer else endpoint
    changes = explorer.describe_changes(parts.schema.graphql_schema)
    routes = [
        Route("/graphql", door),
        *explorer.routes(settings, people, changes=changes),
        Route("/healthz", health.healthz),
        Route("/readyz", health.readyz),
    ]
    if settings.amplify:
        admin_queries = AdminQueriesEndpoint(
            executor,
            disabled=settings.disabled_actions,
            deadline=settings.deadline,
            max_body=settings.max_body,
        )
        routes.append(Route(f"{settings.amplify_path}/{{name:path}}", admin_queries))
    app = _Application(
        routes=routes,
        middleware=[
            Middleware(RequestLog, paths=[route.path for route in routes], probes=PATHS),
            Middleware(BrowserSafety, origins=settings.cors_origins),
            *_trusted_hosts(settings.hosts),
            Middleware(FaultBarrier),
            Middleware(Gate, health=health),
            Middleware(Shortcut, path="/graphql", endpoint=door),
        ],
        exception_handlers={HTTPException: refuse_path},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect would go where the Host header says
    app.state.health = health
    return app


def _trusted_hosts(allowed: AllowedHosts) -> list[Middleware]:
    return [] if allowed.any else [Middleware(TrustedHosts, allowed=allowed, exempt=PATHS)]


class _Application(Starlette):
    """Starlette without its outermost layer, which answers faults: `FaultBarrier` does."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return what answers requests."""
        outermost = super().build_middleware_stack()
        assert isinstance(outermost, ServerErrorMiddleware)  # noqa: S101  # nothing else is lost
        return outermost.app


def _make_authorization(settings: Settings, grants: Grants) -> Authorization:
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
    )


def _now() -> float:
    """Return the time by the clock that deadlines are of."""
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
