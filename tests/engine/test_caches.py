"""What is kept fits, whatever is put in."""

from random import Random

from graphql_admin.engine.caches import LruCache


def test_least_recently_used_goes_first() -> None:
    """An entry that was used stays longer than one that came later and was not."""
    cache: LruCache[str, int] = LruCache(800)
    for number in range(8):
        cache.put(f"k{number}", number, 100)
    assert cache.get("k0") == 0
    cache.put("k8", 8, 100)
    assert cache.get("k1") is None
    assert cache.get("k0") == 0
    assert cache.get("k8") == 8
    assert len(cache) == 8


def test_large_entries_are_not_kept() -> None:
    """What would evict most others is not kept, and evicts nothing."""
    cache: LruCache[str, int] = LruCache(800)
    cache.put("small", 1, 10)
    cache.put("large", 2, 101)
    assert cache.get("large") is None
    assert cache.get("small") == 1


def test_size_is_kept() -> None:
    """The sum of the sizes is right, and never more than is allowed."""
    cache: LruCache[int, int] = LruCache(1000)
    random = Random(0)
    sizes: dict[int, int] = {}
    for _ in range(2000):
        key, size = random.randrange(50), random.randint(1, 125)
        cache.put(key, size, size)
        sizes[key] = size
        assert cache.size <= 1000
        assert cache.size == sum(cache.get(key) or 0 for key in sizes)
