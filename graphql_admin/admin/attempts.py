"""The gate: the only way to change anything in the user pool.

Nothing else has the `PoolWriter`, so a change that was not authorized, or leaves no audit event,
cannot be made. Mutations call it, and Amplify's routes call mutations.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from graphql_admin.actions import Action
from graphql_admin.admin.authorization import Attempt, Authorization, find_sub
from graphql_admin.admin.cognito_names import check_name
from graphql_admin.admin.context import Context
from graphql_admin.admin.described_pool import DescribedPool
from graphql_admin.admin.preparation import AttemptReads, prepare
from graphql_admin.audit.log import AuditLog, Event, Outcome, Step, outcome_of
from graphql_admin.cognito.access import PoolWriter
from graphql_admin.cognito.operations import describe
from graphql_admin.cognito.replies import Reply
from graphql_admin.errors import AdminError, Internal, PartlyDone, payload_code
from graphql_admin.targets import Change, Done, Reads, Target
from graphql_admin.telemetry import request_record
from graphql_admin.tokens.caller import Caller


class Attempts:
    """Authorizes changes, carries them out, and writes one audit event for each, however it ends.

    Args:
        writer: Writes to Cognito. Nothing else may have it.
        audit: The sink of the events.
        authorization: Decides on changes.
        described: Describes the pool to the changes, and to what is shown of them, that depend on
            its settings.
    """

    def __init__(
        self,
        writer: PoolWriter,
        audit: AuditLog,
        authorization: Authorization,
        described: DescribedPool,
    ) -> None:
        self._writer = writer
        self._audit = audit
        self._authorization = authorization
        self._described = described

    async def attempt(
        self, context: Context, action: Action, change: Change, step: Step | None = None
    ) -> Done:
        """Carry out a change for the request's caller, or only check it.

        Args:
            context: The context of the request.
            action: The action.
            change: The change.
            step: Its place in a batch, if it is in one. It is told the outcome.

        Returns:
            The target, as it was sent to Cognito, and Cognito's reply as the change confirmed it;
            nothing of it was sent if it is only checked.

        Raises:
            Unauthenticated: The request carries no token.
            Forbidden: The caller may not do this.
            OutOfScope: The caller may not do it to this user or group.
            OwnAccount: The caller may not do it to themselves.
            Conflict: The caller's own rights are being taken.
            BadUserInput: A value of the change is invalid.
            AuditUnavailable: Audit events cannot be written. Cognito was not called.
            AuthorityUnavailable: The pool did not say whether the caller may still do this.
            AdminError: A call failed.
        """
        aim = _aim(context.caller, action, change.target())
        is_dry = step is not None and step.is_dry
        attempt: Attempt | None = None
        outcome: Outcome | None = None
        # Without an outcome or an error of this server, the request was cancelled.
        code: str | None = "CANCELLED"
        try:
            attempt = self._authorization.check(context, action, aim)
            parameters = _parameters(aim, change)
            if action.row.sets_attributes:
                self._authorization.check_attributes(attempt, change.attributes())
            self._audit.demand()
            await self._authorization.allow(attempt, reserves=not is_dry)
            reads = AttemptReads(attempt, self._described, is_dry=is_dry)
            prepared = await prepare(change, reads, attempt, looks=is_dry)
            operation, target = _operation(action, change), attempt.target
            told = {**parameters, **_names(operation, target), **prepared}
            reply: Mapping[str, Any] = {}
            if not is_dry:
                reply = await self._carry_out(attempt, change, reads, operation, told)
        except AdminError as error:
            outcome, code = outcome_of(error, is_sent=_is_sent(attempt)), payload_code(error)
            raise
        except Exception:  # a fault of this server: INTERNAL in the response, and in the event
            code = Internal.code
            raise
        else:
            outcome, code = Outcome.DONE, None
            is_username = partial(self._described.is_username, context)
            return Done(target, reply, attempt.row is not None, is_username)
        finally:
            if outcome is None:
                outcome = Outcome.UNKNOWN if _is_sent(attempt) else Outcome.FAILED
            if step is not None:
                step.outcome = outcome
            told_of = Outcome.DRY_RUN if is_dry else outcome
            self._audit.write(_event(context.caller, action, aim, attempt, told_of, code, step))
            if attempt is not None:
                await self._authorization.settle(attempt, told_of)

    async def _carry_out(
        self,
        attempt: Attempt,
        change: Change,
        reads: Reads,
        operation: str,
        parameters: dict[str, object],
    ) -> Mapping[str, Any]:
        """Write, and look again where that leaves it open whether the change was made."""
        try:
            written = await self._write(attempt, change, operation, parameters)
            _demand_same_user(attempt, parameters, written)
            reply = change.confirm(written)
        except AdminError as error:
            is_unknown = outcome_of(error, is_sent=attempt.is_sent) is Outcome.UNKNOWN
            if not (is_unknown or (attempt.is_sent and change.leaves_open(error))):
                raise
            reply = await change.look_again(error, reads)
        # The event names the user, and not the address that was given, if it was one.
        if attempt.action.row.creates and "User" in reply:
            attempt.target = Target(user=reply["User"]["Username"])
        return reply

    async def _write(
        self, attempt: Attempt, change: Change, operation: str, parameters: dict[str, object]
    ) -> Reply:
        context = attempt.context
        write = partial(self._writer.write, approval=attempt, user=attempt.target.user)
        context.reads.forget()
        try:
            return await context.count(write, operation, parameters, spare=change.spare)
        finally:
            context.reads.forget()


def _demand_same_user(
    attempt: Attempt, parameters: Mapping[str, object], reply: Mapping[str, Any]
) -> None:
    """Check the user in a reply, where the change was sent with an address of theirs.

    Unlike their username, it may have become another user's since it was read.

    Raises:
        PartlyDone: The change was made to another user.
    """
    row, named = attempt.row, attempt.target.user
    if row is None or parameters.get("Username", named) == named:
        return
    sub, user = find_sub(row.get("UserAttributes")), reply.get("User")
    if not isinstance(user, dict) or find_sub(user.get("Attributes")) != sub:
        raise PartlyDone("The user's address is another user's by now, to whom it was done.")


def _is_sent(attempt: Attempt | None) -> bool:
    return attempt is not None and attempt.is_sent


def _aim(caller: Caller | None, action: Action, given: Target) -> Target:
    """Return the target as it was given, or the caller if it is not given."""
    if given.user is None and action.is_for_oneself and caller is not None:
        return given._replace(user=caller.username)
    return given


def _parameters(aim: Target, change: Change) -> Mapping[str, object]:
    """Return the parameters other than the target, once the names of the target are valid."""
    if aim.user is not None:
        check_name(aim.user, "username")
    if aim.group is not None:
        check_name(aim.group, "groupName")
    return change.parameters()


def _operation(action: Action, change: Change) -> str:
    operation = change.operation() or action.write
    if operation not in action.writes:  # so that the IAM policy has it
        raise Internal
    return operation


def _names(operation: str, target: Target) -> dict[str, str]:
    """Return the parameters that name the target; a change gives others in its own."""
    names = {}
    if target.user is not None and describe(operation).takes_user:
        names["Username"] = target.user
    if target.group is not None:
        names["GroupName"] = target.group
    return names


def _event(  # noqa: PLR0917  # the members of an event
    caller: Caller | None,
    action: Action,
    aim: Target,
    attempt: Attempt | None,
    outcome: Outcome,
    code: str | None,
    step: Step | None,
) -> Event:
    return Event(  # by position: by name, making one takes twice as long
        request_record.current().id,
        caller.sub if caller else None,
        caller.username if caller else None,
        caller.groups if caller else (),
        action.label,
        aim if attempt is None else attempt.target,
        outcome,
        code,
        () if attempt is None else attempt.attributes,
        step,
    )
