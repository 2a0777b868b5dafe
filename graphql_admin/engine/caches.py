"""A cache that is bounded by the size of what it keeps, not by the number alone."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

LARGEST_SHARE = 8
"""An entry may take this part of a cache (an eighth). A larger one would evict most others."""


class LruCache(Generic[K, V]):
    """Keeps the entries that were used last, as long as they fit together.

    Args:
        max_bytes: Estimated size of all entries.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self.size = 0
        """Estimated size of all entries, in bytes."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """Return the value of an entry, which counts as its use; None if there is none."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: K, value: V, size: int) -> None:
        """Keep a value, unless it is too large; evict what was not used for longest.

        Args:
            key: Identifies it.
            value: Is not None.
            size: Estimated, in bytes, with the key's.
        """
        if size > self._max_bytes // LARGEST_SHARE:
            return
        _, replaced = self._entries.pop(key, (None, 0))
        self._entries[key] = value, size
        self.size += size - replaced
        while self.size > self._max_bytes:
            _, (_, evicted) = self._entries.popitem(last=False)
            self.size -= evicted
