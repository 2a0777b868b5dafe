"""The gate: the one way to change anything in the user pool.

Nothing else has what writes to Cognito, so that a change that nobody decided on, or that leaves no
event, cannot be made. Mutations come here, and Amplify's routes by way of them.
"""

from graphql_admin.actions import Action, Oneself
from graphql_admin.admin.cognito_names import check_name
from graphql_admin.admin.context import Context
from graphql_admin.audit.log import AuditLog, Event, Outcome, outcome_of
from graphql_admin.cognito.access import PoolWriter
from graphql_admin.errors import AdminError, Forbidden, Internal, payload_code
from graphql_admin.targets import Change, Target
from graphql_admin.telemetry import request_record as records
from graphql_admin.tokens.caller import Caller


class Attempts:
    """Decides on changes, carries them out, and leaves one event for each, however it ends.

    Args:
        writer: What writes to Cognito. Nothing else may have it.
        audit: Where the events go.
    """

    def __init__(self, writer: PoolWriter, audit: AuditLog) -> None:
        self._writer = writer
        self._audit = audit

    async def attempt(self, context: Context, action: Action, change: Change) -> Target:
        """Carry out a change for the request's caller.

        Returns:
            The target, as Cognito was told it.

        Raises:
            Unauthenticated: The request carries no token.
            Forbidden: The caller may not do this.
            BadUserInput: A value of the change cannot be right.
            AuditUnavailable: The sink of events does not work. Nothing was called.
            AdminError: Cognito did not answer well.
        """
        aim = _aim(context.caller, action, change.target())
        # What is neither done nor an error of ours is a request that was cancelled.
        outcome, is_sent = Outcome.FAILED, False
        code: str | None = "CANCELLED"
        try:
            target = _decide(context.demand(action), action, aim)
            parameters = _parameters(target, change)
            self._audit.demand()
            outcome, is_sent = Outcome.UNKNOWN, True
            await self._write(context, action, parameters)
        except AdminError as error:
            outcome, code = outcome_of(error, is_sent=is_sent), payload_code(error)
            raise
        except Exception:  # a fault of ours: the client is told INTERNAL, and so is the event
            code = Internal.code
            raise
        else:
            outcome, code = Outcome.DONE, None
            return target
        finally:
            self._audit.write(_event(context.caller, action, aim, outcome, code))

    async def _write(self, context: Context, action: Action, parameters: dict[str, object]) -> None:
        # The operation is the row's, so that no other can be called, and IAM's policy has it.
        assert action.write is not None  # noqa: S101  # the schema has no mutation without
        context.reads.forget()
        try:
            await context.count(self._writer.write, action.write, parameters)
        finally:
            context.reads.forget()


def _aim(caller: Caller | None, action: Action, given: Target) -> Target:
    """Return the target as it was given, or whom it means where it was not."""
    if given.user is None and action.on_oneself is Oneself.ONLY and caller is not None:
        return given._replace(user=caller.username)
    return given


def _decide(caller: Caller, action: Action, aim: Target) -> Target:
    """Return the target as Cognito is to be told it, if `caller`, who has the right, may act on it.

    Raises:
        Forbidden: The caller may not.
    """
    if action.on_oneself is not Oneself.ONLY:
        return aim
    if aim.user not in {caller.username, caller.sub}:
        raise Forbidden("You may do this to nobody but yourself.")
    return aim._replace(user=caller.username)


def _parameters(target: Target, change: Change) -> dict[str, object]:
    parameters = dict(change.parameters())
    if target.user is not None:
        parameters["Username"] = check_name(target.user, "username")
    if target.group is not None:
        parameters["GroupName"] = check_name(target.group, "groupName")
    return parameters


def _event(
    caller: Caller | None, action: Action, aim: Target, outcome: Outcome, code: str | None
) -> Event:
    return Event(
        request_id=records.current().id,
        sub=caller.sub if caller else None,
        username=caller.username if caller else None,
        groups=caller.groups if caller else (),
        action=action.label,
        target=aim,
        outcome=outcome,
        code=code,
    )
