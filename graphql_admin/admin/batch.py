"""The mutation `batch`: many changes in one request, each of which passes the gate."""

import asyncio
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, NamedTuple
from weakref import WeakSet

import strawberry
from strawberry.schema_directive import Location
from strawberry.types.base import get_object_definition
from strawberry.types.field import StrawberryField
from strawberry.types.unset import UNSET

from graphql_admin.actions import Action
from graphql_admin.admin.action_errors import ActionError, ActionErrorCode
from graphql_admin.admin.context import Context, Info
from graphql_admin.admin.features import Feature
from graphql_admin.admin.groups.types import Group
from graphql_admin.admin.guards import GatedSteps, Requires, guarded
from graphql_admin.admin.mutations import Input, Mutation, mutation_of
from graphql_admin.admin.payloads import Payload
from graphql_admin.admin.users.types import User
from graphql_admin.audit.log import Outcome, Step
from graphql_admin.engine.costs import MAX_STEPS
from graphql_admin.engine.fields import shown
from graphql_admin.errors import (
    ActionFailed,
    AdminError,
    BadUserInput,
    Forbidden,
    Internal,
    Throttled,
    Unauthenticated,
)
from graphql_admin.telemetry.log import log_fault

TIME_TO_ANSWER = 1.0
"""Seconds of a request's time that are kept to read the users and groups back, and to answer."""

TIME_TO_START = 1.0
"""Seconds before the end of the steps in which none is started: it might be interrupted, and then
it would not be known whether it was carried out."""

LARGEST_PART = 0.1
"""Most of the time that is left as a batch begins that each of the two takes."""


@strawberry.schema_directive(locations=[Location.INPUT_OBJECT], name="oneOf")
class ExactlyOne:
    """The directive `@oneOf` for an input that is checked where it is used.

    Strawberry rejects other values of inputs with its own directive, and with them the request.
    Gateways that do not know the directive would pass them on, and not all pass on such an error.
    """


@strawberry.enum(description="What to do where a step of a batch fails.")
class BatchOnError(Enum):
    CONTINUE = strawberry.enum_value(
        "CONTINUE", description="Carry out the other steps nevertheless."
    )
    STOP = strawberry.enum_value(
        "STOP", description="Skip the following steps. Those before it remain carried out."
    )
    REJECT_ALL = strawberry.enum_value(
        "REJECT_ALL",
        description="Check every step first, as with `dryRun`, and carry out none if the server "
        "would refuse one. A step that depends on one before it, such as on a user who is still to "
        "be created, does not pass the check. If a step fails nevertheless, the following ones are "
        "skipped.",
    )


@strawberry.enum(description="How a step of a batch ended.")
class BatchStepOutcome(Enum):
    DONE = strawberry.enum_value("DONE", description="It was carried out.")
    FAILED = strawberry.enum_value(
        "FAILED", description="It could not be carried out. Nothing was changed by it."
    )
    REFUSED = strawberry.enum_value(
        "REFUSED",
        description="The caller may not do it, or this could not be determined. Nothing was "
        "changed by it.",
    )
    UNCERTAIN = strawberry.enum_value(
        "UNCERTAIN", description="It is not known whether, or how far, it was carried out."
    )
    SKIPPED = strawberry.enum_value(
        "SKIPPED",
        description="It was not tried: because of another step, or because there was no time left. "
        "Nothing was changed by it.",
    )
    WOULD_BE_DONE = strawberry.enum_value(
        "WOULD_BE_DONE",
        description="It was only checked, and this server would not refuse it. Cognito may.",
    )


_OUTCOMES: Mapping[Outcome, BatchStepOutcome] = {
    Outcome.DONE: BatchStepOutcome.DONE,
    Outcome.REFUSED: BatchStepOutcome.REFUSED,
    Outcome.FAILED: BatchStepOutcome.FAILED,
    Outcome.UNKNOWN: BatchStepOutcome.UNCERTAIN,
}


@strawberry.type(description="What became of a step of a batch.")
class BatchStepResult:
    index: int = strawberry.field(description="The position of the step in the input, from 0 on.")
    action: str = strawberry.field(description="The name of the step's action.")
    outcome: BatchStepOutcome = strawberry.field(
        default=BatchStepOutcome.SKIPPED, description="How it ended."
    )
    errors: list[ActionError] = strawberry.field(
        default_factory=list,
        description="Why it was not carried out; empty if it was, or was not tried. `field` is a "
        "field of the step's own input.",
    )
    payload: strawberry.Private[Payload | None] = None
    """What its mutation alone would have returned; None if it was not carried out."""

    @guarded(
        Requires(Action.GET_USER, key_of="User"),
        description="The user, read back after the last step; null if the step was not carried "
        "out, changed no user, or deleted them.",
    )
    async def user(self, info: Info) -> User | None:
        read = getattr(self.payload, "user", None)  # not every payload has one
        return None if read is None else await read(info)

    @guarded(
        Requires(Action.GET_GROUP, key_of="Group"),
        description="The group, read back after the last step; null if the step was not carried "
        "out, changed no group, or deleted it.",
    )
    async def group(self, info: Info) -> Group | None:
        read = getattr(self.payload, "group", None)
        return None if read is None else await read(info)

    @shown("The global id of the user or group that the step deleted; null if it deleted none.")
    def deleted_id(self) -> strawberry.ID | None:
        read = getattr(self.payload, "deleted_id", None)
        return None if read is None else read()

    @shown(
        "The username of the user whom the step deleted if the caller may read users, else the "
        "name in its input; null if it deleted none."
    )
    def deleted_username(self) -> str | None:
        read = getattr(self.payload, "deleted_username", None)
        return None if read is None else read()

    @shown("The name of the group that the step deleted; null if it deleted none.")
    def deleted_name(self) -> str | None:
        read = getattr(self.payload, "deleted_name", None)
        return None if read is None else read()

    @shown(
        "Whether an invitation was sent to the user whom the step created; null if it is not "
        "known, or if it created none."
    )
    def invited(self) -> bool | None:
        read = getattr(self.payload, "invited", None)
        return None if read is None else read()


@strawberry.type(description="Result of `batch`.")
class BatchPayload:
    errors: list[ActionError] = strawberry.field(
        default_factory=list,
        description="Why no step was tried at all: the input is invalid. The errors of steps are "
        "in `results`.",
    )
    results: list[BatchStepResult] = strawberry.field(
        default_factory=list, description="A result for each step, in their order."
    )


class _Part(NamedTuple):
    """A step of a batch: a mutation, and its input."""

    mutation: Mutation
    change: Input


_resolvers: WeakSet[Callable[..., Any]] = WeakSet()
"""Those of batches made here: each hands its steps to mutations, and does nothing else."""


def is_batch(field: StrawberryField) -> bool:
    """Tell whether a field was made here."""
    resolver = field.base_resolver
    return resolver is not None and resolver.wrapped_func in _resolvers


def features(features: Iterable[Feature], disabled: Collection[Action]) -> Iterator[Feature]:
    """Yield the feature `batch`, if there are mutations that can be steps.

    Those are all that change something on behalf of others, in the order of the features.

    Args:
        features: The features of the schema.
        disabled: The disabled actions.
    """
    parts = (feature.mutation for feature in features if feature.mutation is not None)
    fields = (field for part in parts for field in get_object_definition(part, strict=True).fields)
    mutations = {
        each.action.label: each
        for each in map(mutation_of, fields)
        if each is not None and each.action not in disabled and not each.action.is_for_oneself
    }
    if mutations:
        yield Feature(mutation=_make(mutations))


def _make(mutations: Mapping[str, Mutation]) -> type:
    """Return a type with the mutation, whose steps are one of these mutations each."""
    step = _make_step(mutations)
    input_ = _make_input(step)
    guard = GatedSteps({each.action for each in mutations.values()})

    async def batch(self: Any, info: Info, input: Any) -> Any:  # noqa: ARG001
        try:
            parts = list(_read_parts(input.steps, mutations))
        except BadUserInput as error:
            guard.demand(info)
            return BatchPayload(errors=[ActionError.from_error(error)])
        run = _Run(info.context, parts)
        return BatchPayload(results=await run.results(input.on_error, is_dry=input.dry_run))

    _resolvers.add(batch)
    told = strawberry.argument(description="The steps, and what to do where one fails.")
    batch.__annotations__ |= {"input": Annotated[input_, told], "return": BatchPayload | None}
    field = strawberry.field(
        batch,
        name="batch",
        description=f"Carry out up to {MAX_STEPS} other mutations, one after the other. Each is "
        "checked, limited and recorded as if it were alone. Nothing is undone: see `outcome` of "
        "each result. Steps for which there is no time left are skipped. "
        f"{guard.requirement()}",
        extensions=[guard],
    )
    return strawberry.type(type("Batches", (), {"batch": field}))


def _make_step(mutations: Mapping[str, Mutation]) -> type:
    members = {
        name: strawberry.field(name=name, default=UNSET, description=f"As for `{name}`.")
        for name in mutations
    }
    types = {name: each.input | None for name, each in mutations.items()}
    class_ = type("BatchStep", (), {**members, "__annotations__": types, "__repr__": _hide})
    return strawberry.input(
        class_,
        directives=[ExactlyOne()],
        description="A step of a batch: the input of exactly one mutation.",
    )


def _make_input(step: type) -> type:
    members = {
        "steps": strawberry.field(
            description=f"The steps, in the order in which they are carried out: 1 to {MAX_STEPS}."
        ),
        "on_error": strawberry.field(
            default=BatchOnError.CONTINUE, description="What to do where a step fails."
        ),
        "dry_run": strawberry.field(
            default=False,
            description="Whether to change nothing, and only to tell of each step whether this "
            "server would refuse it, as the pool is before the batch. Cognito may still refuse "
            "what the server would not. `onError` does not matter then.",
        ),
    }
    types = {"steps": list[step], "on_error": BatchOnError, "dry_run": bool}  # type: ignore[valid-type]
    class_ = type("BatchInput", (), {**members, "__annotations__": types, "__repr__": _hide})
    return strawberry.input(class_, description="Input of `batch`.")


def _hide(self: object) -> str:
    """Represent an input without its values, which may be personal or secret."""
    return f"{type(self).__name__}(…)"


def _read_parts(steps: Sequence[Any], mutations: Mapping[str, Mutation]) -> Iterator[_Part]:
    """Yield the steps of an input.

    Raises:
        BadUserInput: There are too many or none, or one is not the input of exactly one mutation.
    """
    if not 1 <= len(steps) <= MAX_STEPS:
        raise BadUserInput(f"Give 1 to {MAX_STEPS} steps.", field="steps")
    for index, step in enumerate(steps):
        given = [
            _Part(mutation, value)
            for name, mutation in mutations.items()
            if (value := getattr(step, name)) is not UNSET
        ]
        if len(given) != 1 or given[0].change is None:
            raise BadUserInput(
                "A step must have the input of exactly one mutation.", field=f"steps.{index}"
            )
        yield given[0]


class _Run:
    """Carries out a batch.

    Args:
        context: The context of the request.
        parts: Its steps.
    """

    def __init__(self, context: Context, parts: Sequence[_Part]) -> None:
        self._context = context
        self._parts = parts
        self._id = secrets.token_hex(8)

    async def results(self, on_error: BatchOnError, *, is_dry: bool) -> list[BatchStepResult]:
        """Return the result of each step."""
        left = max(0.0, self._context.deadline - self._now())
        with self._context.ending_before(min(TIME_TO_ANSWER, LARGEST_PART * left)):
            last_start = self._context.deadline - min(TIME_TO_START, LARGEST_PART * left)
            if is_dry:
                return await self._go_through(last_start, is_dry=True)
            if on_error is BatchOnError.REJECT_ALL:
                checked = await self._go_through(last_start, is_dry=True)
                if rejected := _reject(checked):
                    return rejected
            stops = on_error is not BatchOnError.CONTINUE
            return await self._go_through(last_start, stops=stops)

    async def _go_through(
        self, last_start: float, *, is_dry: bool = False, stops: bool = False
    ) -> list[BatchStepResult]:
        """Carry out the steps, or check them.

        Args:
            last_start: When no other is started.
            is_dry: Whether they are only checked.
            stops: Whether to skip those after one that fails.
        """
        results = []
        stopped = False
        for index, part in enumerate(self._parts):
            result = BatchStepResult(index=index, action=part.mutation.action.label)
            if not stopped and self._now() < last_start:
                await self._carry_out(part, result, Step(self._id, index, is_dry))
                stopped = stops and result.outcome is not BatchStepOutcome.DONE
            results.append(result)
        return results

    async def _carry_out(self, part: _Part, result: BatchStepResult, step: Step) -> None:
        error: AdminError | None = None
        try:
            payload = await part.mutation.carry_out(self._context, part.change, step)
        except Unauthenticated:  # it is so for all steps
            raise
        except AdminError as failure:
            error = failure
        except Exception as fault:  # noqa: BLE001  # the results of the other steps are not lost
            log_fault(fault)
            error = Internal()
        outcome = step.outcome or Outcome.UNKNOWN
        if error is not None:
            result.errors = [_describe(error, outcome)]
        elif not step.is_dry:
            result.payload = payload
        result.outcome = (
            BatchStepOutcome.WOULD_BE_DONE
            if step.is_dry and outcome is Outcome.DONE
            else _OUTCOMES[outcome]
        )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _reject(checked: Sequence[BatchStepResult]) -> list[BatchStepResult]:
    """Return the results of a batch that is rejected by its check; none if it passes."""
    would_be_done = BatchStepOutcome.WOULD_BE_DONE
    if all(result.outcome is would_be_done for result in checked):
        return []
    return [
        BatchStepResult(index=result.index, action=result.action)
        if result.outcome is would_be_done
        else result
        for result in checked
    ]


def _describe(error: AdminError, outcome: Outcome) -> ActionError:
    """Return an error of a step, for its result."""
    if isinstance(error, ActionFailed | BadUserInput):
        return ActionError.from_error(error)
    if outcome is Outcome.UNKNOWN:
        code = ActionErrorCode.UNCERTAIN
    elif isinstance(error, Forbidden):
        code = ActionErrorCode.FORBIDDEN
    elif isinstance(error, Throttled):
        code = ActionErrorCode.THROTTLED
    else:
        code = ActionErrorCode.UNAVAILABLE
    return ActionError(code=code, message=error.message, field=None)
