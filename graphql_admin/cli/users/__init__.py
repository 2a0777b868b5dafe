"""Users from a running server to files, and back: `graphql-admin users`."""

import os
import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphql_admin.cli.stopping import stopped_quietly

if TYPE_CHECKING:
    from graphql_admin.cli.users.exporting import Result
    from graphql_admin.cli.users.importing import Options, Survey
    from graphql_admin.cli.users.journal import Journal
    from graphql_admin.cli.users.pool import Pool
    from graphql_admin.cli.users.records import Format
    from graphql_admin.cli.users.server import Server
    from graphql_admin.cli.users.tokens import TokenSource

_SOME_FAILED = 1
_INVALID_FILE = 2

TOKEN = "GRAPHQL_ADMIN_TOKEN"  # noqa: S105  # the name of a variable
URL = "GRAPHQL_ADMIN_URL"

_PAGE = "docs/files.md"


@click.group("users")
def group() -> None:
    """Export users to a file, or import them from one.

    \b
    graphql-admin users export users.csv --url https://admin.example.com/graphql
    graphql-admin users import users.csv --url https://admin.example.com/graphql

    Both speak to a running server with a token, and may do what the token's owner may. The token is
    GRAPHQL_ADMIN_TOKEN, or read with --token-stdin, or printed by --token-command, which is run
    again before the token expires.

    docs/files.md describes the files, and what can go wrong.
    """  # noqa: D301  # for Click, which keeps the lines after it


_SHARED = [
    click.option(
        "--url",
        envvar=URL,
        show_envvar=True,
        required=True,
        metavar="URL",
        help="The server's address, such as https://admin.example.com/graphql.",
    ),
    click.option(
        "--token-command",
        metavar="COMMAND",
        help="Command that prints a token. It is run without a shell, and again before the token "
        "expires.",
    ),
    click.option("--token-stdin", is_flag=True, help="Read the token from standard input."),
    click.option(
        "--allow-http", is_flag=True, help="Send the token to another machine without TLS."
    ),
    click.option(
        "--format",
        "format_name",
        type=click.Choice(["csv", "jsonl"]),
        help="Format of the file; by default, what its name ends with.",
    ),
    click.option(
        "--plain",
        is_flag=True,
        help="CSV for programs: cells as they are, without an apostrophe before what a spreadsheet "
        "would take for a formula.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(1, 600),
        default=60,
        show_default=True,
        help="Seconds to wait for a reply.",
    ),
    click.option(
        "--patience",
        type=click.FloatRange(0, 86_400),
        default=120,
        show_default=True,
        help="Seconds without any success after which to give up.",
    ),
]


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    return reduce(lambda made, option: option(made), reversed(_SHARED), command)


@group.command("export")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@_shared
@click.option(
    "--columns",
    metavar="NAMES",
    help="Attributes for the columns of CSV, separated by commas; by default all of the pool, "
    "which takes the action getUserPool.",
)
@click.option("--groups", is_flag=True, help="Export groups too: a call to Cognito for each user.")
def export_command(file: str, *, columns: str | None, groups: bool, **shared: Any) -> None:
    """Export all users to FILE.

    \b
    graphql-admin users export users.csv --url https://admin.example.com/graphql
    graphql-admin users export users.jsonl --groups --token-command 'get-token --admin'

    FILE is CSV or JSON Lines; `-` is standard output. It takes the action listUsers, and with
    --groups listGroupsForUser. FILE appears when it is complete. If the export is interrupted, run
    the same command again: it goes on.

    Ends with 1 where it cannot go on, and with 2 where an argument is wrong. docs/files.md has the
    columns.
    """  # noqa: D301  # for Click, which keeps the lines after it
    from graphql_admin.cli.users.exporting import (  # noqa: PLC0415
        Export,
        Stream,
        Target,
        export_users,
    )
    from graphql_admin.cli.users.files import columns_of_export  # noqa: PLC0415
    from graphql_admin.cli.users.pool import demand, look_at  # noqa: PLC0415
    from graphql_admin.cli.users.progress import Bar  # noqa: PLC0415
    from graphql_admin.cli.users.records import Format  # noqa: PLC0415

    format_ = _format(file, shared["format_name"])
    with stopped_quietly():
        server = _server(shared)
        pool = look_at(server)
        demand(pool, {"listUsers": True, "listGroupsForUser": groups})
        attributes = _attributes(columns, pool) if format_ is Format.CSV else []
        export = Export(
            server.url,
            format_.value,
            columns_of_export(attributes, groups=groups),
            shared["plain"],
            groups,
            sorted(pool.rights.read),
            sorted(pool.rights.masked),
        )
        _tell_hidden(pool)
        target = Stream() if file == "-" else Target(Path(file), export)
        if target.is_continued:
            click.echo("Going on where an earlier run stopped.", err=True)
        bar = Bar("Exporting", pool.estimate)
        try:
            result = export_users(server, export, target, bar.show)
        except BaseException:
            bar.end()
            if target.is_continued:
                click.echo("Run the same command again to go on.", err=True)
            raise
        finally:
            target.close()
        bar.end()
        _tell_exported(result, file, columns)


def _tell_hidden(pool: "Pool") -> None:
    """Say which attributes are not exported because the caller does not see the whole of them."""
    if pool.attributes is None:
        hidden = [*sorted(pool.rights.masked), *([] if pool.rights.shows("*") else ["others"])]
    else:
        hidden = [name for name in pool.attributes if not pool.rights.shows(name)]
    if hidden:
        names = ", ".join(hidden)
        click.echo(f"Not exported, since the token does not show them whole: {names}.", err=True)


def _tell_exported(result: "Result", file: str, columns: str | None) -> None:
    click.echo(f"{result.users:,} users are in {file}.", err=True)
    if result.left_out and columns is None:
        names = ", ".join(sorted(result.left_out))
        click.echo(f"Left out, since the pool's schema does not have them: {names}.", err=True)


def _attributes(columns: str | None, pool: "Pool") -> list[str]:
    from graphql_admin.cli.users.records import OWN_COLUMNS  # noqa: PLC0415

    if columns is not None:
        names = [name.strip() for name in columns.split(",")]
        if "" in names or len(set(names)) < len(names) or OWN_COLUMNS.intersection(names):
            raise click.BadParameter("give names of attributes, each once.", param_hint="--columns")
        if hidden := [name for name in names if not pool.rights.shows(name)]:
            raise click.BadParameter(
                f"the token does not show the whole of {', '.join(hidden)}.", param_hint="--columns"
            )
        return names
    if pool.attributes is None:
        raise click.UsageError(
            "The columns are not known, since the token does not allow getUserPool. Name them with "
            "--columns, or export JSON Lines (--format jsonl)."
        )
    return [name for name in pool.attributes if pool.rights.shows(name)]


@group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path))
@_shared
@click.option(
    "--invite",
    type=click.Choice(["EMAIL", "SMS"]),
    multiple=True,
    help="Send invitations with a temporary password; by default, no message is sent.",
)
@click.option(
    "--existing",
    type=click.Choice(["fail", "skip"]),
    default="fail",
    show_default=True,
    help="What to do with a row whose user exists. Such a user is never changed.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing, and tell what would be refused.")
def import_command(file: Path, *, dry_run: bool, **shared: Any) -> None:
    """Import the users in FILE.

    \b
    graphql-admin users import users.csv --dry-run --url https://admin.example.com/graphql
    graphql-admin users import users.csv --token-command 'get-token --admin'

    FILE is CSV or JSON Lines. It takes the action createUser, for groups addUserToGroup, and for
    users who are disabled disableUser. If the import is interrupted, run the same command again: it
    goes on, by the journal beside FILE. Rows that failed are then in a file of their own, which can
    be imported.

    Ends with 1 where rows failed or it cannot go on, and with 2 where an argument or FILE is wrong.
    docs/files.md has the columns.
    """  # noqa: D301  # for Click, which keeps the lines after it
    from graphql_admin.cli.users.importing import Options  # noqa: PLC0415
    from graphql_admin.cli.users.pool import look_at  # noqa: PLC0415

    if not file.is_file():  # a pipe can be read only once
        raise click.BadParameter("it is not a regular file.", param_hint="FILE")
    format_ = _format(file.name, shared["format_name"])
    options = Options(
        format_, shared["plain"], tuple(shared["invite"]), shared["existing"] == "skip"
    )
    with stopped_quietly():
        server = _server(shared)
        pool = look_at(server)
        found = _survey(file, options, pool)
        if dry_run:
            _try_out(server, pool, options, file, found)
        else:
            _import(server, pool, options, file, found)


def _survey(file: Path, options: "Options", pool: "Pool") -> "Survey":
    from graphql_admin.cli.users.importing import MAX_PROBLEMS, survey  # noqa: PLC0415
    from graphql_admin.cli.users.pool import demand, demand_writes  # noqa: PLC0415
    from graphql_admin.telemetry.lines import printable  # noqa: PLC0415

    try:
        found = survey(file, options, pool)
    except OSError as error:
        raise click.FileError(str(file), error.strerror or "it cannot be read") from None
    if found.problems:
        for problem in found.problems[:MAX_PROBLEMS]:
            click.echo(f"{file}: {printable(problem)}", err=True)
        click.echo(f"Nothing was sent. See {_PAGE}.", err=True)
        sys.exit(_INVALID_FILE)
    demand(
        pool,
        {
            "createUser": True,
            "addUserToGroup": bool(found.groups),
            "disableUser": found.disables,
        },
    )
    demand_writes(pool, found.attributes)
    if pool.attributes is None:
        click.echo(
            "The token does not allow getUserPool, so the names of attributes were not checked.",
            err=True,
        )
    if found.mfa:
        click.echo(
            f"{found.mfa:,} rows say that MFA is enabled. It cannot be imported: these users must "
            "set it up again.",
            err=True,
        )
    return found


def _try_out(
    server: "Server", pool: "Pool", options: "Options", file: Path, found: "Survey"
) -> None:
    from graphql_admin.cli.users.importing import find_missing_groups, try_out  # noqa: PLC0415
    from graphql_admin.cli.users.progress import Bar  # noqa: PLC0415
    from graphql_admin.telemetry.lines import printable  # noqa: PLC0415

    def say(line: str) -> None:
        bar.end()
        click.echo(printable(line))

    bar = Bar("Checking", found.rows)
    missing = 0
    if found.groups and "getGroup" not in pool.actions:
        say("The token does not allow getGroup, so it was not checked whether the groups exist.")
    elif found.groups:
        for name in find_missing_groups(server, sorted(found.groups)):
            missing += 1
            say(f"group {name}: There is no such group.")
    try:
        refused = try_out(server, pool, options, file, show=bar.show, say=say)
    finally:
        bar.end()
    click.echo(f"{found.rows - refused:,} of {found.rows:,} users would be created.")
    if refused or missing:
        sys.exit(_SOME_FAILED)


def _import(
    server: "Server", pool: "Pool", options: "Options", file: Path, found: "Survey"
) -> None:
    from graphql_admin.cli.users.importing import FINAL, Importer  # noqa: PLC0415
    from graphql_admin.cli.users.journal import Journal  # noqa: PLC0415
    from graphql_admin.cli.users.progress import Bar  # noqa: PLC0415

    identity = {
        "file": found.digest,
        "url": server.url,
        "format": options.format.value,
        "plain": options.plain,
        "invite": list(options.invite),
        "skips_existing": options.skips_existing,
    }
    journal = Journal(file.with_name(f"{file.name}.journal"), identity, found.rows)
    if journal.is_continued:
        done = journal.count(*FINAL)
        click.echo(f"Going on where an earlier run stopped: after {done:,} users.", err=True)
    bar = Bar("Importing", found.rows)
    try:
        Importer(server, pool, options, journal, bar.show).run(file)
    except BaseException:
        bar.end()
        done = journal.count(*FINAL)
        click.echo(
            f"{done:,} of {found.rows:,} users are finished. Run the same command again to go on.",
            err=True,
        )
        journal.close(remove=False)
        raise
    bar.end()
    _tell_imported(journal, options, file, found)


def _tell_imported(journal: "Journal", options: "Options", file: Path, found: "Survey") -> None:
    from graphql_admin.cli.users.importing import write_report  # noqa: PLC0415
    from graphql_admin.cli.users.journal import State  # noqa: PLC0415

    click.echo(f"{journal.count(State.DONE):,} of {found.rows:,} users were imported.", err=True)
    if existing := journal.count(State.EXISTS):
        click.echo(f"{existing:,} existed before, and were not changed.", err=True)
    report = write_report(file, options, found.columns, journal)
    journal.close(remove=True)
    if report is not None:
        failed = journal.count(State.FAILED)
        click.echo(
            f"{failed:,} failed. They are in {report}, with the reason; it can be imported.",
            err=True,
        )
        sys.exit(_SOME_FAILED)


def _format(name: str, given: str | None) -> "Format":
    from graphql_admin.cli.users.files import format_of  # noqa: PLC0415
    from graphql_admin.cli.users.records import Format  # noqa: PLC0415

    format_ = Format(given) if given is not None else format_of(name)
    if format_ is None:
        raise click.UsageError("Name the format with --format, or end FILE with .csv or .jsonl.")
    return format_


def _server(shared: dict[str, Any]) -> "Server":
    from graphql_admin.cli.users.server import Server, check_url  # noqa: PLC0415

    try:
        url = check_url(shared["url"], allow_http=shared["allow_http"])
    except click.BadParameter as error:
        raise click.BadParameter(error.message, param_hint="--url") from None
    tokens = _tokens(shared["token_command"], is_read=shared["token_stdin"])
    return Server(url, tokens, shared["timeout"], shared["patience"])


def _tokens(command: str | None, *, is_read: bool) -> "TokenSource":
    from graphql_admin.cli.users.tokens import (  # noqa: PLC0415
        MAX_SIZE,
        FixedToken,
        TokenCommand,
    )

    # Taken out, so that a command that is run later does not get it too.
    token = os.environ.pop(TOKEN, None)
    if command is not None and is_read:
        raise click.UsageError("Give --token-command or --token-stdin, not both.")
    if command is not None:
        return TokenCommand(command)
    if is_read:
        return FixedToken(sys.stdin.read(MAX_SIZE + 1))
    if token is None:
        raise click.UsageError(f"Set {TOKEN}, or give --token-command or --token-stdin.")
    return FixedToken(token)
