"""The cost of deciding on the changes of one request, in calls to Cognito."""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeAlias

from graphql_admin.actions import Action, Effect
from graphql_admin.engine.costs import MAX_STEPS, Asked
from graphql_admin.policy.decisions import Decisions, Principal, may_leave_unread
from graphql_admin.policy.grants import Rights
from graphql_admin.targets import TargetKind
from graphql_admin.tokens.caller import Caller

READ_ONCE = frozenset({"DescribeUserPool"})
"""What is read for one change and then cached for others; see `described_pool`."""

ON_ERROR, REJECT_ALL, DRY_RUN = "onError", "REJECT_ALL", "dryRun"
"""The options of a batch that have its steps checked beforehand."""

LABELS = frozenset(action.label for action in Action if action.write)

Changes: TypeAlias = tuple[tuple[str, int], ...]
"""Names of actions, each with how often it is asked for."""


class Prices:
    """The cost of decisions, for callers who still have the rights that their tokens give.

    A user's groups are expected to fit into one page, as are the members of a group that is
    deleted, callers are expected to give no rights to themselves, before which they are read once
    more (a price with that would be three times as high for what is given to others), and no change
    is expected to wait so long for its turn that it is decided on again. What a decision takes
    beyond its price counts as it is read, as all calls of a request do.

    Args:
        decisions: Say what they depend on.
        standing: Calls to read a caller's own standing.
        each_time: Whether it is read for every change, because it is not cached.
    """

    def __init__(self, decisions: Decisions, *, standing: int, each_time: bool) -> None:
        self._decisions = decisions
        self._standing = standing
        self._each_time = each_time
        # Clients repeat their documents, and tokens their groups.
        self._price_of = lru_cache(maxsize=1024)(self._price)

    def of_decisions(self, caller: Caller | None, rights: Rights, changes: Changes) -> int:
        """Return how many calls the decisions on some changes may take.

        Args:
            caller: The caller who requests them.
            rights: The caller's rights, by their token.
            changes: What is requested.
        """
        return 0 if caller is None else self._price_of(rights, caller.is_machine, changes)

    def of_steps(self, caller: Caller | None, rights: Rights, batches: Iterable[Asked]) -> int:
        """Return how many calls the steps of some batches may take, in all.

        Args:
            caller: The caller who requests them.
            rights: The caller's rights, by their token.
            batches: What they ask for.
        """
        return sum(self._price_of_steps(caller, rights, batch) for batch in batches)

    def _price_of_steps(self, caller: Caller | None, rights: Rights, batch: Asked) -> int:
        if batch.steps > MAX_STEPS:
            return 0  # it is rejected before any call is made
        names = (name for name in batch.changes if name in LABELS)
        changes = tuple(sorted(Counter(names).items()))
        deciding = self.of_decisions(caller, rights, changes)
        is_checked = batch.options.get(ON_ERROR) == REJECT_ALL
        if is_checked:
            deciding *= 2
        if is_checked or batch.options.get(DRY_RUN) is True:
            deciding += sum(n * len(Action.labelled(name).row.lookups) for name, n in changes)
        return deciding + batch.steps

    def _price(self, rights: Rights, is_machine: bool, changes: Changes) -> int:  # noqa: FBT001  # a key
        caller = Principal("", rights, is_machine)
        standing = 0 if is_machine else self._standing
        total = first = 0
        once: set[str] = set()
        for name, times in changes:
            action = Action.labelled(name)
            if action.is_for_oneself or action not in rights.actions:
                continue  # nothing is read
            first = standing
            reads = [read.value for read in self._decisions.most_reads(caller, action)]
            checks = set(action.row.checks) - READ_ONCE - set(reads)
            once |= READ_ONCE.intersection(action.row.checks)
            if Action.GET_USER in rights.actions and not reads and may_leave_unread(action.row):
                once |= READ_ONCE  # for the name in the payload
            # A group that may be deleted gives no rights.
            takes = action.row.effect is Effect.TAKES and action.target is not TargetKind.GROUP
            # An action that takes rights reads the caller's standing once more. A change to the
            # caller, which any change may be whose target is read, drops the cached standing.
            again = takes + 1 if self._each_time else bool(takes or reads)
            total += times * (len(reads) + len(checks) + standing * again)
        total += len(once)
        return total if self._each_time else first + total
