"""The command line: serve, dev, schema, iam-policy and check.

Commands import modules when they run, so that `--help` is fast.
"""

import asyncio
import errno
import json
import os
import re
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from graphql_admin import __version__
from graphql_admin.telemetry.lines import printable

if TYPE_CHECKING:
    from graphql_admin.app import Application
    from graphql_admin.dev.cognito import EmbeddedCognito, ReadyPerson
    from graphql_admin.settings import Settings

_DRIFT = 1
_POOL_OR_KEYS = 1
_INVALID_SETTINGS = 2
_INTERRUPTED = 130

_QUERY = "{ users(first: 3) { nodes { username email status groups { nodes { name } } } } }"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """The admin API for Amazon Cognito: users and groups of a user pool over GraphQL.

    \b
    graphql-admin dev      try it: a made-up pool, and tokens to paste
    graphql-admin check    are the settings good, and does the pool answer?
    graphql-admin serve    serve the pool

    The settings are environment variables that begin with GRAPHQL_ADMIN_.

    docs/getting-started.md has the first steps, docs/settings.md has every setting.
    """  # noqa: D301  # for Click, which keeps the lines after it
    # Before any command does a thing: until then structlog writes to standard output, which is for
    # audit events, the schema and the policy.
    from graphql_admin.telemetry.log import configure_logging  # noqa: PLC0415

    configure_logging()


@main.command()
def serve() -> None:
    """Serve the user pool of the settings.

    \b
    export GRAPHQL_ADMIN_USER_POOL_ID=eu-west-1_AbCdEf123
    export GRAPHQL_ADMIN_CLIENT_IDS=4h57kuexample
    export GRAPHQL_ADMIN_ADMIN_GROUPS=Admins
    graphql-admin serve

    Calls to Cognito are signed with AWS's usual credentials. Audit events go to standard output,
    the log to standard error. SIGTERM and Ctrl-C end it once the requests in flight are answered.

    Ends with 2 where the settings are wrong, and with 1 where it cannot listen.

    docs/settings.md has every setting, docs/operations.md what to watch.
    """  # noqa: D301  # for Click, which keeps the lines after it
    with _settings_explained():
        settings = _load_settings()
        app = _create_app(settings)
    with (
        _stopped_quietly() as stop,
        _listen(settings.host, settings.port, remedy=_setting_of_port("PORT")) as listener,
        _metrics_served(settings),
    ):
        _run(app, settings, listener, stop, lambda: _print_address(listener))


@main.command()
@click.option(
    "--users",
    type=click.IntRange(4, 100_000),
    default=250,
    show_default=True,
    help="Number of users in the user pool.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8000,
    show_default=True,
    help="TCP port to listen on; 0 takes a free one.",
)
@click.option(
    "--cors-origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Origin whose pages may call the server, such as http://localhost:5173. Repeatable.",
)
def dev(users: int, port: int, origins: tuple[str, ...]) -> None:
    """Serve a made-up pool, and print tokens to try it with.

    \b
    graphql-admin dev
    graphql-admin dev --users 1000 --port 9000
    graphql-admin dev --cors-origin http://localhost:5173

    Cognito is embedded, so neither AWS nor a setting is needed, and nothing is kept. Settings in
    the environment are for a pool of yours: they are ignored, and named. It needs the extra
    `dev`: pip install 'graphql-admin[dev]'.

    docs/getting-started.md goes on from there.
    """  # noqa: D301  # for Click, which keeps the lines after it
    from graphql_admin.dev.cognito import EmbeddedCognito, isolated_environment  # noqa: PLC0415
    from graphql_admin.dev.moto_server import MissingExtra  # noqa: PLC0415

    try:
        with (
            _stopped_quietly() as stop,
            _listen("127.0.0.1", port, remedy="Choose another with --port.") as listener,
            isolated_environment() as hidden,
            EmbeddedCognito() as cognito,
        ):
            _say_ignored(hidden)
            with click.progressbar(length=users, label="Creating users", file=sys.stderr) as bar:

                def show_progress(_done: int, _users: int) -> None:
                    stop.check()
                    bar.update(1)

                cognito.seed(users, show_progress)
            os.environ.update(cognito.environment)
            os.environ[_CORS_ORIGINS] = ",".join(origins)
            with _settings_explained():
                settings = _load_settings()
                app = _create_app(settings, cognito.ready_people)
            _run(
                app,
                settings,
                listener,
                stop,
                lambda: _introduce(cognito, settings, _url(listener)),
            )
    except MissingExtra as missing:
        raise click.ClickException(str(missing)) from missing


_CORS_ORIGINS = "GRAPHQL_ADMIN_CORS_ORIGINS"


def _say_ignored(hidden: Collection[str]) -> None:
    """Name the settings in the environment that `dev` does not take."""
    ignored = sorted(name for name in hidden if name.startswith("GRAPHQL_ADMIN_"))
    if ignored:
        click.echo(f"Ignored, since dev has its own settings: {', '.join(ignored)}", err=True)
    if _CORS_ORIGINS in ignored:
        click.echo(f"In place of {_CORS_ORIGINS}, use --cors-origin.", err=True)


@main.command()
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write instead of standard output.",
)
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="Write nothing; fail if the file (schema.graphql, with --plain schema.plain.graphql, or "
    "--output) is not up to date.",
)
@click.option("--plain", is_flag=True, help="Leave out Apollo Federation.")
def schema(output: Path | None, *, only_check: bool, plain: bool) -> None:
    """Print the schema, in SDL.

    \b
    graphql-admin schema
    graphql-admin schema --output schema.graphql
    graphql-admin schema --plain --output schema.plain.graphql

    It follows the settings DISABLED_ACTIONS, NODE_FIELD and AUTH_DIRECTIVES, and needs no others.

    It carries the directives of Apollo Federation 2; docs/federation.md says how to publish it.
    Most code generators, linters and clients do not know these, and take the plain form.
    """  # noqa: D301  # for Click, which keeps the lines after it
    from graphql_admin.admin.schema import AdminSchema  # noqa: PLC0415
    from graphql_admin.settings import load_schema_settings  # noqa: PLC0415

    with _settings_explained():
        settings = load_schema_settings()
    built = AdminSchema(
        settings.disabled_actions,
        node_field=settings.node_field,
        auth_directives=settings.auth_directives,
    )
    sdl = (built.as_plain_str() if plain else built.as_str()).rstrip("\n") + "\n"
    if only_check:
        file = output or Path("schema.plain.graphql" if plain else "schema.graphql")
        if not file.exists() or file.read_text(encoding="utf-8") != sdl:
            click.echo(f"{file} is not up to date. Run: make schema", err=True)
            sys.exit(_DRIFT)
    elif output:
        output.write_text(sdl, encoding="utf-8")
    else:
        click.echo(sdl, nl=False)


def _check_account(_: click.Context, __: click.Parameter, account: str | None) -> str | None:
    if account is not None and not re.fullmatch(r"[0-9]{12}", account):
        raise click.BadParameter("an AWS account id has twelve digits.")
    return account


@main.command()
@click.option(
    "--account",
    metavar="NUMBER",
    callback=_check_account,
    help="Id of the AWS account that owns the user pool.",
)
@click.option("--partition", help="AWS partition; by default, that of the region.")
def iam_policy(account: str | None, partition: str | None) -> None:
    """Print the least IAM policy that the server needs.

    \b
    graphql-admin iam-policy --account 123456789012

    It follows from the settings: what DISABLED_ACTIONS takes out needs no right.

    Attach it to the role that `graphql-admin serve` runs with; `graphql-admin check` tells whether
    that has all of it. docs/settings.md says where the credentials come from.
    """  # noqa: D301  # for Click, which keeps the lines after it
    from graphql_admin.actions import Action  # noqa: PLC0415
    from graphql_admin.policy.iam import iam_policy as policy  # noqa: PLC0415

    with _settings_explained():
        settings = _load_settings()
    if account is None:
        click.echo("No --account: the policy applies to this pool in any account.", err=True)
    pool_arn = ":".join(
        (
            "arn",
            partition or settings.partition,
            "cognito-idp",
            settings.region,
            account or "*",
            f"userpool/{settings.user_pool_id}",
        )
    )
    enabled = frozenset(Action) - settings.disabled_actions
    if Action.UPDATE_GROUP in enabled:
        click.echo(
            "updateGroup sends a group's IAM role as it is. If AWS refuses that for groups with a "
            "role, add iam:PassRole for their roles.",
            err=True,
        )
    statement = policy(pool_arn, enabled, knows_groups=settings.knows_groups)
    click.echo(json.dumps(statement, indent=2))


@main.command()
def check() -> None:
    """Check the settings, the pool and the server's rights.

    \b
    graphql-admin check

    It takes the settings and credentials that `graphql-admin serve` takes, changes nothing, and
    says each right that is missing, and each group of the policy that the pool does not have.

    Ends with 2 where the settings are wrong, and with 1 where the pool, its keys or the rights are.

    docs/permissions.md explains the policy, docs/operations.md the lines of the log.
    """  # noqa: D301  # for Click, which keeps the lines after it
    from graphql_admin.cli.check import check as check_pool  # noqa: PLC0415
    from graphql_admin.cli.pages import OPERATIONS, PERMISSIONS  # noqa: PLC0415

    with _settings_explained():
        settings = _load_settings()
        _create_app(settings)
    findings = asyncio.run(check_pool(settings))
    _complain([*findings.problems, *(f"Note: {note}" for note in findings.notes)])
    if findings.problems:
        _point_to([PERMISSIONS, OPERATIONS])
        sys.exit(_POOL_OR_KEYS)
    click.echo("The settings are valid; the user pool and its keys can be reached.")


def _load_settings() -> "Settings":
    from graphql_admin.settings import load_settings  # noqa: PLC0415

    return load_settings()


def _create_app(
    settings: "Settings", people: "Callable[[], Sequence[ReadyPerson]]" = tuple
) -> "Application":
    from graphql_admin.app import create_app  # noqa: PLC0415

    return create_app(settings, people)


@contextmanager
def _settings_explained() -> Iterator[None]:
    from graphql_admin.cli.pages import pages_on  # noqa: PLC0415
    from graphql_admin.settings import InvalidSettings  # noqa: PLC0415

    try:
        yield
    except InvalidSettings as invalid:
        _complain(invalid.problems)
        _point_to(pages_on(invalid.problems))
        sys.exit(_INVALID_SETTINGS)


def _complain(problems: Collection[str]) -> None:
    for problem in problems:
        click.echo(printable(problem), err=True)


def _point_to(pages: Collection[str]) -> None:
    click.echo(f"See {' and '.join(pages)}.", err=True)


class _Stop:
    """Records that a signal to stop was received.

    Python discards a KeyboardInterrupt that is raised within a finalizer or a callback, which
    happens on a busy machine. So it is raised again at the next step that may be stopped.
    """

    def __init__(self) -> None:
        self._is_asked = False

    def __call__(self, _: int, __: FrameType | None) -> None:
        """Handle the signal."""
        self._is_asked = True
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal to stop was received.

        Raises:
            KeyboardInterrupt: One was received.
        """
        if self._is_asked:
            raise KeyboardInterrupt

    def pass_on(self) -> None:
        """Send the signal again, if there was one, to its current handler."""
        if self._is_asked:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def _stopped_quietly() -> Iterator[_Stop]:
    """Let SIGTERM unwind everything like Ctrl-C, and exit without a traceback.

    SIGHUP, which is sent when a terminal is closed, is passed on as SIGTERM to its current handler;
    unless it is ignored, as with `nohup`.
    """
    stop = _Stop()
    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        yield stop
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _listen(host: str, port: int, *, remedy: str) -> socket.socket:
    # Listen at once, rather than only bind, so that a second server cannot take the same port.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with _addresses_explained(host, port, remedy):
        return socket.create_server((host, port), family=family, backlog=2048)


@contextmanager
def _metrics_served(settings: "Settings") -> Iterator[None]:
    if settings.metrics_port is None:
        yield
        return
    from graphql_admin.telemetry.metrics_port import served  # noqa: PLC0415

    with ExitStack() as stack:
        with _addresses_explained(
            settings.host, settings.metrics_port, _setting_of_port("METRICS_PORT")
        ):
            port = stack.enter_context(served(settings.host, settings.metrics_port))
        click.echo(f"Metrics are on port {port}", err=True)
        yield


@contextmanager
def _addresses_explained(host: str, port: int, remedy: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = f"port {port} is in use by another program"
        elif error.errno is None or error.errno < 0:  # from getaddrinfo
            reason = "no such address"
        else:
            reason = os.strerror(error.errno)
        raise click.ClickException(f"Cannot listen on {host}:{port}: {reason}. {remedy}") from error


def _setting_of_port(name: str) -> str:
    from graphql_admin.cli.pages import SETTINGS  # noqa: PLC0415
    from graphql_admin.settings import PREFIX  # noqa: PLC0415

    return f"Set {PREFIX}HOST or {PREFIX}{name} to another; see {SETTINGS}."


def _print_address(listener: socket.socket) -> None:
    click.echo(f"Listening on {_url(listener)}", err=True)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _run(
    app: "Application",
    settings: "Settings",
    listener: socket.socket,
    stop: _Stop,
    announce: Callable[[], None],
) -> None:
    """Serve until a signal to stop; requests in flight are answered first.

    Args:
        app: The application.
        settings: Its settings.
        listener: The listening socket.
        stop: Has the signals from before uvicorn installed its own handlers.
        announce: Called once the server accepts requests.
    """
    from graphql_admin.serving.connections import Bounds, admissible  # noqa: PLC0415
    from graphql_admin.serving.server import run  # noqa: PLC0415

    bounds = Bounds(
        keep_alive=settings.keep_alive,
        max_connections=admissible(settings.max_connections),
        max_pending=settings.max_pending,
        identify=app.state.identify,
    )

    def start() -> None:
        announce()
        stop.pass_on()

    stop.check()
    run(
        app,
        listener,
        bounds,
        deadline=settings.deadline,
        on_start=start,
        on_stop=app.state.health.drain,
    )


def _introduce(cognito: "EmbeddedCognito", settings: "Settings", url: str) -> None:
    endpoint = f"{url}/graphql"
    admin = cognito.people[0]
    body = json.dumps({"query": _QUERY})
    curl = shlex.join(
        [
            "curl",
            "-sS",
            endpoint,
            "-H",
            f"Authorization: Bearer {admin.token}",
            "-H",
            "Content-Type: application/json",
            "-d",
            body,
        ]
    )
    blocks = [
        f"GraphQL is served at {endpoint} until you press Ctrl-C.",
        f"To try it in a browser, open {url}/explorer",
        f"The REST routes of Amplify's Admin Queries are under {url}{settings.amplify_path}.",
        *(_introduce_person(person) for person in cognito.people),
        f"A query to try:\n  {_QUERY}",
        f"The same with curl:\n\n{curl}",
    ]
    click.echo("\n" + "\n\n".join(blocks) + "\n")
    sys.stdout.flush()


def _introduce_person(person: "ReadyPerson") -> str:
    membership = f"in {', '.join(person.groups)}" if person.groups else "in no group"
    return (
        f"{person.username} ({person.role}, {membership}) may {person.may}. "
        f"Access token, valid for an hour:\n{person.token}"
    )
