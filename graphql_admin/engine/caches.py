"""A least-recently-used cache that is bounded by the size of its entries."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

LARGEST_SHARE = 8
"""Largest entry, as a fraction of the cache. A larger one would evict most others."""


class LruCache(Generic[K, V]):
    """Keeps the most recently used entries, up to a total size.

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
        """Return the value of an entry and mark it as used; None if there is none."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: K, value: V, size: int) -> None:
        """Keep a value, unless it is too large; evict the least recently used entries for it.

        Args:
            key: The key.
            value: The value, which must not be None.
            size: Estimated size in bytes, the key included.
        """
        if size > self._max_bytes // LARGEST_SHARE:
            return
        _, replaced = self._entries.pop(key, (None, 0))
        self._entries[key] = value, size
        self.size += size - replaced
        while self.size > self._max_bytes:
            _, (_, evicted) = self._entries.popitem(last=False)
            self.size -= evicted
