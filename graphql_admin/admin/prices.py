"""The cost of deciding on the changes of one request, in calls to Cognito."""

from collections.abc import Mapping
from dataclasses import dataclass

from graphql_admin.actions import Action, Effect
from graphql_admin.policy.decisions import Decisions, Principal
from graphql_admin.policy.grants import Rights
from graphql_admin.tokens.caller import Caller


@dataclass(frozen=True, slots=True)
class Prices:
    """The cost of decisions, if no user has more than one page of groups."""

    decisions: Decisions

    standing: int
    """Calls to read a caller's own standing."""

    each_time: bool
    """Whether it is read for every change, because it is not cached."""

    def of_decisions(
        self, caller: Caller | None, rights: Rights, changes: Mapping[str, int]
    ) -> int:
        """Return how many calls the decisions on some changes may take.

        Args:
            caller: The caller who requests them.
            rights: The caller's rights, by their token.
            changes: The names of the actions, each with the number of its requests.
        """
        if caller is None:
            return 0
        principal = Principal(caller.sub, rights, caller.is_machine)
        standing = 0 if caller.is_machine else self.standing
        total = first = 0
        for name, times in changes.items():
            action = Action.labelled(name)
            if action.is_for_oneself or action not in rights.actions:
                continue  # nothing is read
            first = standing
            target = len(self.decisions.most_reads(principal, action))
            takes = action.row.effect is Effect.TAKES
            # An action that takes rights reads the caller's standing once more. A change to the
            # caller, which any change may be whose target is read, drops the cached standing.
            again = takes + 1 if self.each_time else bool(takes or target)
            total += times * (target + standing * again)
        return total if self.each_time else first + total
