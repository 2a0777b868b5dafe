"""Makes the mutation of a row of the table of actions."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar
from weakref import WeakKeyDictionary

import strawberry
from strawberry.types.field import StrawberryField

from graphql_admin.actions import Action
from graphql_admin.admin.action_errors import ActionError
from graphql_admin.admin.context import Context, Info
from graphql_admin.admin.guards import Gated
from graphql_admin.admin.payloads import GroupPayload, MembershipPayload, Payload, UserPayload
from graphql_admin.admin.personal import Personal
from graphql_admin.audit.log import Step
from graphql_admin.errors import ActionFailed, BadUserInput
from graphql_admin.targets import Reads, Target, TargetKind


class Input(Personal, ABC):
    """The input of a mutation: the requested change."""

    kind: ClassVar[TargetKind]

    @abstractmethod
    def target(self) -> Target:
        """Return the target as the caller named it."""

    def parameters(self) -> Mapping[str, object]:
        """Return the parameters of Cognito's operation other than the target.

        Raises:
            BadUserInput: A value is invalid.
        """
        return {}

    def attributes(self) -> Mapping[str, str]:
        """Return the names of the user's attributes that it sets, each with its input field."""
        return {}

    def operation(self) -> str | None:
        """Return which of the action's alternatives carries it out; None for its `write`."""
        return None

    @property
    def spare(self) -> float:
        """Seconds of the request's time that are kept for `look_again`."""
        return 0.0

    async def prepare(self, reads: Reads) -> Mapping[str, object]:  # noqa: ARG002
        """Return the parameters of Cognito's operation that depend on the target's state.

        Raises:
            AdminError: The target's state does not allow the change, or could not be read.
        """
        return {}

    def confirm(self, reply: Mapping[str, Any]) -> Mapping[str, Any]:
        """Check Cognito's reply, and return it, with what else the payload shows.

        Raises:
            AdminError: Cognito replied with 200, and did not make all of the change.
        """
        return reply

    def leaves_open(self, error: Exception) -> bool:  # noqa: ARG002
        """Tell whether Cognito may have made the change although it replied with this error.

        That is, where the error is one by which it usually says that it did not.
        """
        return False

    async def look_again(self, error: Exception, reads: Reads) -> Mapping[str, Any]:  # noqa: ARG002
        """Find out whether Cognito made the change, where it is not known.

        Raises:
            AdminError: `error` itself if it is still not known, or what was found out.
        """
        raise error


@strawberry.input
class UserInput(Input):
    kind = TargetKind.USER

    username: str = strawberry.field(description="The user's username.")

    def target(self) -> Target:
        return Target(user=self.username)


@strawberry.input
class GroupInput(Input):
    kind = TargetKind.GROUP

    group_name: str = strawberry.field(description="The group's name.")

    def target(self) -> Target:
        return Target(group=self.group_name)


@strawberry.input
class MembershipInput(UserInput, GroupInput):
    kind = TargetKind.MEMBERSHIP

    def target(self) -> Target:
        return Target(self.username, self.group_name)


@strawberry.input
class OneselfInput(Input):
    kind = TargetKind.USER

    username: str | None = strawberry.field(
        default=None, description="The caller's own username or `sub`; may be left out."
    )

    def target(self) -> Target:
        return Target(user=self.username)


_INPUTS: Mapping[TargetKind, type[Input]] = {
    TargetKind.USER: UserInput,
    TargetKind.GROUP: GroupInput,
    TargetKind.MEMBERSHIP: MembershipInput,
}
_PAYLOADS: Mapping[TargetKind, type[Payload]] = {
    TargetKind.USER: UserPayload,
    TargetKind.GROUP: GroupPayload,
    TargetKind.MEMBERSHIP: MembershipPayload,
}


@dataclass(frozen=True)
class Mutation:
    """A mutation that was made here: it hands its input to the gate, and does nothing else."""

    action: Action
    input: type[Input]
    payload: type[Payload]

    async def carry_out(self, context: Context, change: Input, step: Step | None = None) -> Payload:
        """Carry out a change, and return the payload that shows it.

        Raises:
            AdminError: It was not carried out, or this is not known.
        """
        done = await context.attempt(self.action, change, step)
        target = _shown(context, self.action, change, done.target)
        return self.payload(
            target=target, reply=done.reply, is_read=done.is_read, is_username=done.is_username
        )


_mutations: WeakKeyDictionary[Any, Mutation] = WeakKeyDictionary()
"""By their resolvers."""

_INPUT = strawberry.argument(description="The target of the action, and its parameters.")


def mutation_of(field: StrawberryField) -> Mutation | None:
    """Return the mutation that a field was made for by `mutation`; None for other fields."""
    resolver = field.base_resolver
    return None if resolver is None else _mutations.get(resolver.wrapped_func)


def _shown(context: Context, action: Action, change: Input, done: Target) -> Target:
    """Return the target that the payload shows: the `Username` only to callers who may read it.

    Others may have given an alias, and would learn whose it is.
    """
    if action.is_for_oneself or Action.GET_USER in context.rights.actions:
        return done
    return change.target()


def mutation(
    action: Action,
    description: str,
    *,
    input: type[Input] | None = None,
    payload: type[Payload] | None = None,
) -> Any:
    """Make the mutation that carries out an action.

    Its name, and the names and descriptions of its input and payload types, follow from the name
    of the action.

    Args:
        action: An action that changes something.
        description: What the mutation does; its requirement is appended.
        input: The base class of the input; by default, that for the action's kind of target.
        payload: The base class of the payload; by default, that for the action's kind of target.
    """
    if action.target is None:
        raise TypeError(f"{action.label} changes nothing")
    name = action.label[0].upper() + action.label[1:]
    input_ = type(f"{name}Input", (input or _INPUTS[action.target],), {})
    input_ = strawberry.input(input_, description=f"Input of `{action.label}`.")
    payload_ = type(f"{name}Payload", (payload or _PAYLOADS[action.target],), {})
    payload_ = strawberry.type(payload_, description=f"Result of `{action.label}`.")

    made = Mutation(action, input_, payload_)

    async def resolve(self: Any, info: Info, input: Input) -> Any:  # noqa: ARG001
        try:
            return await made.carry_out(info.context, input)
        except (ActionFailed, BadUserInput) as error:
            return payload_(errors=[ActionError.from_error(error)])

    _mutations[resolve] = made
    resolve.__annotations__ |= {"input": Annotated[input_, _INPUT], "return": payload_ | None}
    guard = Gated(action)
    return strawberry.field(
        resolve,
        name=action.label,
        description=f"{description} {guard.requirement()}",
        extensions=[guard],
    )
