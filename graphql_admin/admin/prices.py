"""How many calls of Cognito it may take to decide on the changes of one request."""

from functools import lru_cache
from typing import TypeAlias

from graphql_admin.actions import Action, Effect
from graphql_admin.policy.decisions import Decisions, Principal
from graphql_admin.policy.grants import Rights
from graphql_admin.tokens.caller import Caller

Changes: TypeAlias = tuple[tuple[str, int], ...]
"""Names of actions, each with how often it is asked for."""


class Prices:
    """The prices of decisions, for callers who still have what their tokens say.

    Nobody's groups are expected to be more than one page, and nobody is expected to give rights to
    themselves, for which their standing is read once more: in the price, that would make what is
    given to others three times as dear. What a decision takes beyond its price counts as it is
    read, as all calls of a request do.

    Args:
        decisions: Say what they depend on.
        standing: Calls by which a caller's own standing is read.
        each_time: Whether that is done for every change, because it is not believed for a while.
    """

    def __init__(self, decisions: Decisions, *, standing: int, each_time: bool) -> None:
        self._decisions = decisions
        self._standing = standing
        self._each_time = each_time
        # Clients repeat their documents, and tokens their groups.
        self._price_of = lru_cache(maxsize=1024)(self._price)

    def of_decisions(self, caller: Caller | None, rights: Rights, changes: Changes) -> int:
        """Return how many reads the decisions on some changes may take.

        Args:
            caller: Who asks for them.
            rights: Theirs, as their token says.
            changes: What is asked for.
        """
        return 0 if caller is None else self._price_of(rights, caller.is_machine, changes)

    def _price(self, rights: Rights, is_machine: bool, changes: Changes) -> int:  # noqa: FBT001  # a key
        caller = Principal("", rights, is_machine)
        standing = 0 if is_machine else self._standing
        total = first = 0
        for name, times in changes:
            action = Action.labelled(name)
            if action.is_for_oneself or action not in rights.actions:
                continue  # nothing is read
            first = standing
            target = len(self._decisions.most_reads(caller, action))
            takes = action.row.effect is Effect.TAKES
            # What takes rights has the caller's standing read once more. A change of oneself, which
            # any may be whose target is read, has it forgotten.
            again = takes + 1 if self._each_time else bool(takes or target)
            total += times * (target + standing * again)
        return total if self._each_time else first + total
