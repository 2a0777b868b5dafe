"""Users from a file to a running server, by batches of 50 steps.

First the whole file is read and checked: nothing is sent of a file with an error. Then it is read
again, 50 rows at a time. A batch creates their users. Others disable them and add them to their
groups, which must not happen to a user of the same name who was there before: so they come after
the reply, and only for users whom this import has created.

A request without a reply leaves it open whether its users were created. They are sent again. Where
there is such a user then, it is ours if it is as the row has it, and not older than the request.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from itertools import count, islice
from pathlib import Path
from typing import Any, Self

from graphql_admin.cli.users.exporting import digest_of
from graphql_admin.cli.users.files import CsvReader, InvalidRow, Writer, read
from graphql_admin.cli.users.journal import Journal, State
from graphql_admin.cli.users.pool import Pool
from graphql_admin.cli.users.private_files import give_name, open_private, sync
from graphql_admin.cli.users.records import (
    BOOLEANS,
    CREATED,
    ERROR,
    FIELDS,
    MFA,
    NOT_SET,
    Format,
    Record,
    check,
    read_bool,
)
from graphql_admin.cli.users.server import Answer, NoAnswer, Rejected, Server, Unusable

STEPS = 50
"""Steps of a batch: as many as there can be."""

MAX_PROBLEMS = 20
"""Problems of a file that are shown."""

MAX_GROUPS = 10_000
"""Groups of a pool, by Cognito's quota; no more names are kept."""

MAX_ATTRIBUTES = 1000
"""Names of attributes that are kept: more than a pool can have."""

MAX_TRIES = 5
"""How often a row is tried for which the server or the pool fails, while others succeed."""

CLOCKS = 300.0
"""Seconds that the clocks of this machine and of Cognito may differ."""

BATCH = """mutation ($steps: [BatchStep!]!, $dryRun: Boolean!) {
  batch(input: { steps: $steps, dryRun: $dryRun }) {
    errors { code message }
    results { index outcome invited errors { code message field } }
  }
}"""

_USER = """query ($username: String!) {
  user(by: { username: $username }) { createdAt attributes { name value } }
}"""

_GROUP = "query ($name: String!) { group(name: $name) { name } }"

_SMALLER = {"PAYLOAD_TOO_LARGE", "QUERY_TOO_COMPLEX", "QUERY_TOO_EXPENSIVE", "BAD_USER_INPUT"}
"""Codes of errors that a smaller batch, or one without a certain row, does not have."""

FINAL = tuple(state for state in State if state.is_final)

_ALREADY_EXISTS = "ALREADY_EXISTS"


@dataclass(frozen=True)
class Options:
    """How a file is imported.

    Attributes:
        format: Of the file.
        plain: Whether cells are values as they are.
        invite: How invitations are sent; none are if it is empty.
        skips_existing: Whether a row whose user exists is skipped, rather than failed.
    """

    format: Format
    plain: bool
    invite: tuple[str, ...]
    skips_existing: bool


@dataclass
class Survey:
    """What the first reading of a file finds.

    Attributes:
        digest: Of the file.
        rows: How many there are.
        columns: Of a CSV file.
        problems: What is wrong, `MAX_PROBLEMS` at most.
        groups: The names of the groups.
        attributes: The names of the attributes that are set.
        disables: Whether there are users who are disabled.
        mfa: How many rows say that MFA is enabled.
    """

    digest: str = ""
    rows: int = 0
    columns: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    groups: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    disables: bool = False
    mfa: int = 0


def survey(path: Path, options: Options, pool: Pool) -> Survey:
    """Read a file, and return what is in it.

    Of each username a digest of 16 bytes is kept, to find one that occurs twice.

    Args:
        path: The file.
        options: How it is imported.
        pool: The pool.

    Raises:
        OSError: It cannot be read.
    """
    found = Survey()
    known = None if pool.attributes is None else {*pool.attributes, *NOT_SET}
    unknown: set[str] = set()
    usernames: set[bytes] = set()
    try:
        with path.open("rb") as file:
            rows = read(file, options.format, plain=options.plain)
            if isinstance(rows, CsvReader):
                found.columns = rows.columns
            if known is not None:
                unknown |= set(rows.attributes()) - known
            for row in rows:
                if isinstance(row, InvalidRow):
                    found.problems.append(str(row))
                else:
                    if known is not None and options.format is Format.JSONL:
                        unknown |= row.attributes.keys() - known
                    _survey_row(row, found, usernames, pool)
                if len(found.problems) >= MAX_PROBLEMS:
                    break
    except InvalidRow as problem:
        found.problems.append(str(problem))
    if unknown:
        names = ", ".join(map(repr, sorted(unknown)[:MAX_PROBLEMS]))
        found.problems.insert(0, f"The user pool has no such attributes: {names}.")
    with path.open("rb") as file:
        digest = blake2b(digest_size=16)
        while part := file.read(1 << 20):
            digest.update(part)
        found.digest = digest.hexdigest()
    return found


def _survey_row(row: Record, found: Survey, usernames: set[bytes], pool: Pool) -> None:
    found.rows += 1
    if len(found.groups) <= MAX_GROUPS:
        found.groups.update(row.groups or ())
    if not row.created and len(found.attributes) <= MAX_ATTRIBUTES:
        found.attributes.update(row.settable)
    found.disables |= not row.enabled
    found.mfa += row.others.get(MFA, "").lower() == "true"
    found.problems += [f"line {row.line}: {problem}" for problem in check(row)]
    username = username_of(row, pool)
    if not username:
        found.problems.append(f"line {row.line}: there is no username")
        return
    digest = digest_of(username if pool.is_case_sensitive else username.casefold())
    if digest in usernames:
        found.problems.append(f"line {row.line}: the username occurs on a line before")
    usernames.add(digest)


def username_of(record: Record, pool: Pool) -> str:
    """Return the username to create a user with.

    In a pool whose usernames are addresses, it is the user's address. A file that was exported has
    the username that the pool generated there.
    """
    if not pool.username_attributes or "@" in record.username or record.username.startswith("+"):
        return record.username
    addresses = (record.attributes.get(name) for name in pool.username_attributes)
    return next(filter(None, addresses), "")


def make_input(record: Record, username: str, invite: Sequence[str]) -> dict[str, Any]:
    """Return the `CreateUserInput` for a record.

    Args:
        record: The record.
        username: The username.
        invite: How an invitation is sent.
    """
    values: dict[str, Any] = {"username": username, "inviteBy": list(invite)}
    others = []
    for name, value in record.settable.items():
        if name not in FIELDS:
            others.append({"name": name, "value": value})
        else:
            values[FIELDS[name]] = read_bool(value) if name in BOOLEANS else value
    return {**values, "attributes": others} if others else values


@dataclass
class _Outcome:
    """How a step ended."""

    outcome: str
    code: str
    message: str
    field: str
    invited: bool | None

    @classmethod
    def from_result(cls, result: Mapping[str, Any]) -> Self:
        error = (result["errors"] or [{}])[0]
        return cls(
            result["outcome"],
            str(error.get("code", result["outcome"])),
            str(error.get("message", "")),
            str(error.get("field") or ""),
            result["invited"],
        )

    @property
    def is_unfinished(self) -> bool:
        """Whether the step can be sent again, or for a creation must be."""
        return self.outcome in {"SKIPPED", "UNCERTAIN"} or self.code in {"THROTTLED", "UNAVAILABLE"}

    @property
    def counts(self) -> bool:
        """Whether this can be a fault that does not pass."""
        return self.outcome == "UNCERTAIN" or self.code == "UNAVAILABLE"

    def explain(self) -> str:
        """Return why it failed."""
        return f"{self.code}: {self.message}" + (f" ({self.field})" if self.field else "")


@dataclass
class _Row:
    """A row that is not finished."""

    number: int
    record: Record = field(repr=False)
    username: str = field(repr=False)
    state: State
    todo: list[dict[str, Any]] = field(repr=False)
    """Steps that are left to do once the user is created."""
    is_created: bool
    """Whether an import has created the user."""
    was_sent: bool
    """Whether the user may have been created by a request before the last one."""
    errors: list[str] = field(default_factory=list)
    tries: int = 0

    def fail(self, error: str) -> None:
        """Record that nothing more can be done."""
        self.errors.append(error)
        self.state = State.FAILED

    def try_again(self, outcome: _Outcome) -> None:
        """Count a step that is not done; too many are an error."""
        self.tries += outcome.counts
        if self.tries >= MAX_TRIES and not self.state.is_final:
            self.fail(outcome.explain())


class Batches:
    """Sends steps to the server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def send(self, steps: Sequence[Mapping[str, Any]], *, dry: bool = False) -> list[_Outcome]:
        """Send a batch once, and return how each step ended.

        Raises:
            NoAnswer: It is not known.
            Rejected: The server rejects it as it is; no step was tried.
            Unusable: No answer came that can be used.
        """
        try:
            answer = self._server.send(BATCH, {"steps": list(steps), "dryRun": dry})
        except Rejected as error:
            if error.code not in _SMALLER:
                raise Unusable(f"The server does not take batches: {error}") from None
            raise
        return self._read(answer, len(steps))

    def _read(self, answer: Answer, count: int) -> list[_Outcome]:
        try:
            payload = (answer.data or {})["batch"]
            if payload["errors"]:
                error = payload["errors"][0]
                raise Rejected(str(error["code"]), str(error["message"]))
            outcomes = list(map(_Outcome.from_result, payload["results"]))
        except (KeyError, TypeError, AttributeError):
            raise NoAnswer("a reply without the results of its steps") from None
        if len(outcomes) != count:
            raise NoAnswer("a reply without the results of all steps")
        return outcomes


class Importer:
    """Imports the rows of a file that are not finished.

    Args:
        server: The server.
        pool: Its pool.
        options: How the file is imported.
        journal: What has become of the rows.
        show: Shows how many rows are finished.
    """

    def __init__(
        self,
        server: Server,
        pool: Pool,
        options: Options,
        journal: Journal,
        show: Callable[[int], None],
    ) -> None:
        self._server = server
        self._batches = Batches(server)
        self._pool = pool
        self._options = options
        self._journal = journal
        self._show = show

    def run(self, path: Path) -> None:
        """Import the rows.

        Raises:
            Unusable: It cannot go on.
        """
        for window in _windows(self._rows(path)):
            while pending := [row for row in window if not row.state.is_final]:
                if creates := [row for row in pending if row.state <= State.SENT]:
                    self._create(creates)
                else:
                    self._follow_up(pending)

    def _rows(self, path: Path) -> Iterator[_Row]:
        """Yield the rows that are not finished."""
        for number, record in enumerate(records_of(path, self._options)):
            if number >= self._journal.rows:
                raise Unusable(f"{path} was changed meanwhile.")
            state = self._journal.state(number)
            if state.is_final:
                continue
            row = _make_row(number, record, username_of(record, self._pool), state)
            if row.is_created and not row.todo:
                self._go_on(row)
            if row.state.is_final:
                self._record([row])
            yield row

    def _create(self, rows: Sequence[_Row]) -> None:
        """Create the users of rows, or find out what has become of them."""
        self._journal.send([row.number for row in rows])
        try:
            outcomes = self._batches.send(_creations(rows, self._options))
        except NoAnswer as failure:
            for row in rows:
                row.state, row.was_sent = State.SENT, True
            self._server.patience.wait(failure.reason, failure.pause)
            return
        except Rejected as error:
            if len(rows) > 1:
                self._create(rows[: len(rows) // 2])  # the others are still pending
            else:
                rows[0].fail(str(error))
                self._record(rows)
            return
        for row, outcome in zip(rows, outcomes, strict=True):
            self._settle(row, outcome)
        self._record(rows)
        self._pause(outcomes)

    def _settle(self, row: _Row, outcome: _Outcome) -> None:
        """Decide what has become of a row that was sent."""
        if outcome.outcome == "DONE":
            if outcome.invited is False and self._options.invite:
                row.errors.append("DELIVERY_FAILED: The user was created, but not invited.")
            self._go_on(row)
        elif outcome.is_unfinished:
            row.was_sent |= outcome.outcome == "UNCERTAIN"
            row.state = State.SENT if row.was_sent else State.NEW
            row.try_again(outcome)
        elif outcome.code == _ALREADY_EXISTS:
            self._settle_existing(row, outcome)
        else:
            row.fail(outcome.explain())

    def _settle_existing(self, row: _Row, outcome: _Outcome) -> None:
        """Decide on a row whose user exists: created by this import, or there before."""
        is_named = outcome.field == "username"  # or another user has the address
        if row.was_sent or (self._options.skips_existing and not is_named):
            try:
                found = self._find(row.username)
            except Rejected:
                if row.was_sent:
                    row.fail(
                        f"{_ALREADY_EXISTS}: Whether this import created the user is not known: "
                        "the token does not allow to read users."
                    )
                else:
                    row.fail(outcome.explain())
                return
            if found is not None and row.was_sent:
                hidden = sorted(
                    name for name in row.record.settable if not self._pool.rights.shows(name)
                )
                if hidden:
                    row.fail(
                        f"{_ALREADY_EXISTS}: Whether this import created the user is not known: "
                        f"the token does not show the whole of {', '.join(hidden)}."
                    )
                    return
                if self._is_ours(row, found):
                    self._go_on(row)
                    return
            is_named |= found is not None
        if is_named and self._options.skips_existing:
            row.state = State.EXISTS
        else:
            row.fail(outcome.explain())

    def _find(self, username: str) -> Mapping[str, Any] | None:
        found = (self._server.read(_USER, {"username": username}).data or {}).get("user")
        return found if isinstance(found, dict) else None

    def _is_ours(self, row: _Row, found: Mapping[str, Any]) -> bool:
        """Tell whether a user is as the row has it, and no older than the first request with it."""
        try:
            created = datetime.fromisoformat(found["createdAt"]).timestamp()
            has = {each["name"]: each["value"] for each in found["attributes"]}
            is_same = all(  # in any letters: pools may change those of an address
                has.get(name, "").casefold() == value.casefold()
                for name, value in row.record.settable.items()
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            return False
        return is_same and created >= self._journal.sent_at(row.number) - CLOCKS

    def _follow_up(self, rows: Sequence[_Row]) -> None:
        """Disable users who were created, and add them to their groups, as far as one batch goes.

        Each step can be repeated without effect, so it is sent until it is known to be done.
        """
        parts = [(row, step) for row in rows for step in row.todo][:STEPS]
        try:
            outcomes = self._batches.send([step for _, step in parts])
        except NoAnswer as failure:
            self._server.patience.wait(failure.reason, failure.pause)
            return
        except Rejected as error:
            if len(rows) > 1:
                self._follow_up(rows[: len(rows) // 2])
            else:
                rows[0].fail(str(error))
                self._record(rows)
            return
        for (row, step), outcome in zip(parts, outcomes, strict=True):
            if outcome.is_unfinished:
                row.try_again(outcome)
            else:
                row.todo.remove(step)
                if outcome.outcome != "DONE":
                    row.errors.append(_explain_step(step, outcome))
        for row in rows:
            if not (row.todo or row.state.is_final):
                self._go_on(row)
        self._record(rows)
        self._pause(outcomes)

    def _go_on(self, row: _Row) -> None:
        """Record that a user is created, and if nothing is left to do, that the row is finished."""
        row.is_created, row.was_sent, row.tries = True, False, 0
        row.state = State.CREATED
        if not row.todo:
            row.state = State.FAILED if row.errors else State.DONE

    def _record(self, rows: Sequence[_Row]) -> None:
        self._journal.record(
            {
                row.number: (row.state, "; ".join(row.errors), row.is_created)
                for row in rows
                if row.state is not self._journal.state(row.number)
            }
        )
        self._show(self._journal.count(*FINAL))

    def _pause(self, outcomes: Sequence[_Outcome]) -> None:
        _pause(self._server, outcomes)


def try_out(
    server: Server,
    pool: Pool,
    options: Options,
    path: Path,
    *,
    show: Callable[[int], None],
    say: Callable[[str], None],
) -> int:
    """Have the server check the rows of a file, and change nothing; return how many it refuses.

    Args:
        server: The server.
        pool: Its pool.
        options: How the file would be imported.
        path: The file.
        show: Shows how many rows are checked.
        say: Takes a line for each row that the server refuses.

    Raises:
        Unusable: It cannot go on.
    """
    batches = Batches(server)
    checked = refused = 0
    rows = (
        _make_row(number, record, username_of(record, pool), State.NEW)
        for number, record in enumerate(records_of(path, options))
    )
    for window in _windows(rows):
        while pending := [row for row in window if not row.is_created and not row.state.is_final]:
            _try_window(server, batches, options, pending)
        for row in window:
            if row.errors:
                refused += 1
                say(f"line {row.record.line}: {'; '.join(row.errors)}")
        checked += len(window)
        show(checked)
    return refused


def _try_window(server: Server, batches: Batches, options: Options, rows: Sequence[_Row]) -> None:
    try:
        outcomes = batches.send(_creations(rows, options), dry=True)
    except NoAnswer as failure:
        server.patience.wait(failure.reason, failure.pause)
        return
    except Rejected as error:
        if len(rows) > 1:
            _try_window(server, batches, options, rows[: len(rows) // 2])
        else:
            rows[0].fail(str(error))
        return
    for row, outcome in zip(rows, outcomes, strict=True):
        if outcome.is_unfinished:
            row.try_again(outcome)
        elif outcome.outcome == "WOULD_BE_DONE" or (
            options.skips_existing and outcome.code == _ALREADY_EXISTS
        ):
            row.state = State.DONE
        else:
            row.fail(outcome.explain())
    _pause(server, outcomes)


def find_missing_groups(server: Server, groups: Iterable[str]) -> Iterator[str]:
    """Yield the names of the groups that the pool does not have, or cannot have.

    Args:
        server: The server.
        groups: The names.

    Raises:
        Unusable: There is no answer.
    """
    for name in groups:
        try:
            found = (server.read(_GROUP, {"name": name}).data or {}).get("group")
        except Rejected:
            found = None
        if found is None:
            yield name


def write_report(
    path: Path, options: Options, columns: Sequence[str], journal: Journal
) -> Path | None:
    """Write the rows that failed to a file that can be imported, and return where it is.

    Args:
        path: The imported file.
        options: How it was imported.
        columns: Those of a CSV file.
        journal: What has become of its rows.

    Raises:
        Unusable: The file was changed meanwhile.
    """
    if not journal.errors:
        return None
    added = [name for name in (CREATED, ERROR) if name not in columns]
    writer = Writer(options.format, [*columns, *added], plain=options.plain)
    report = _free_name(path)
    part = report.with_name(f"{report.name}.part")
    with open_private(part, os.O_WRONLY | os.O_TRUNC) as file:
        file.write(writer.header())
        for number, record in enumerate(records_of(path, options)):
            if number in journal.errors:
                error, created = journal.errors[number]
                file.write(writer.row(dataclasses.replace(record, created=created), error=error))
        sync(file)
    give_name(part, report)
    return report


def _free_name(path: Path) -> Path:
    """Return the name of a report that there is not yet."""
    names = (f"{path.stem}.failed{f'-{n}' if n > 1 else ''}{path.suffix}" for n in count(1))
    return next(report for name in names if not (report := path.with_name(name)).exists())


def records_of(path: Path, options: Options) -> Iterator[Record]:
    """Yield the users of a file that was surveyed.

    Raises:
        Unusable: It was changed since.
    """
    with path.open("rb") as file:
        for row in read(file, options.format, plain=options.plain):
            if isinstance(row, InvalidRow):
                raise Unusable(f"{path} was changed meanwhile: {row}.")
            yield row


def _windows(rows: Iterator[_Row]) -> Iterator[list[_Row]]:
    while window := list(islice(rows, STEPS)):
        yield window


def _make_row(number: int, record: Record, username: str, state: State) -> _Row:
    is_created = state is State.CREATED or record.created
    steps: list[dict[str, Any]] = []
    if not record.enabled:
        steps.append({"disableUser": {"username": username}})
    steps += [
        {"addUserToGroup": {"username": username, "groupName": name}}
        for name in record.groups or ()
    ]
    row = _Row(
        number,
        record,
        username,
        State.CREATED if is_created else state,
        steps,
        is_created=is_created,
        was_sent=state is State.SENT,
    )
    if record.is_external and not is_created:
        row.fail("EXTERNAL_PROVIDER: The first sign-in creates this user, and not an import.")
    return row


def _creations(rows: Sequence[_Row], options: Options) -> list[dict[str, Any]]:
    return [{"createUser": make_input(row.record, row.username, options.invite)} for row in rows]


def _explain_step(step: Mapping[str, Any], outcome: _Outcome) -> str:
    if "disableUser" in step:
        return f"to disable: {outcome.explain()}"
    return f"to add to {step['addUserToGroup']['groupName']}: {outcome.explain()}"


def _pause(server: Server, outcomes: Sequence[_Outcome]) -> None:
    """Wait where the server had no turn or no time left, unless it got somewhere."""
    if not all(outcome.is_unfinished for outcome in outcomes):
        server.patience.reset()
    waiting = [outcome.code for outcome in outcomes if outcome.is_unfinished]
    # Those that were skipped for lack of time alone need not wait.
    if waiting and (len(waiting) == len(outcomes) or {*waiting} != {"SKIPPED"}):
        server.patience.wait(next((code for code in waiting if code != "SKIPPED"), "SKIPPED"))
