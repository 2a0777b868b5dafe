"""How many calls of Cognito it may take to decide on the changes of one request."""

from collections.abc import Mapping
from dataclasses import dataclass

from graphql_admin.actions import Action, Effect, Oneself
from graphql_admin.policy.decisions import Decisions, Principal
from graphql_admin.policy.grants import Rights
from graphql_admin.tokens.caller import Caller


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of decisions, where nobody's groups are more than one page."""

    decisions: Decisions

    standing: int
    """Calls by which a caller's own standing is read."""

    each_time: bool
    """Whether it is read for every change, because nothing is believed for a while."""

    def of_decisions(
        self, caller: Caller | None, rights: Rights, changes: Mapping[str, int]
    ) -> int:
        """Return how many reads the decisions on some changes may take.

        Args:
            caller: Who asks for them.
            rights: Theirs, as their token says.
            changes: The names of the actions, each with how often it is asked for.
        """
        if caller is None:
            return 0
        principal = Principal(caller.sub, rights, caller.is_machine)
        standing = 0 if caller.is_machine else self.standing
        total = first = 0
        for name, times in changes.items():
            action = Action.labelled(name)
            if action.on_oneself is Oneself.ONLY or action not in rights.actions:
                continue  # nothing is read
            first = standing
            target = len(self.decisions.most_reads(principal, action))
            takes = action.row.effect is Effect.TAKES
            # What takes rights has the caller's standing read once more. A change of oneself, which
            # any may be whose target is read, has it forgotten.
            again = takes + 1 if self.each_time else bool(takes or target)
            total += times * (target + standing * again)
        return total if self.each_time else first + total
