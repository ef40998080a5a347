"""A store in memory, for tests that are about other things than storage."""

from __future__ import annotations

from collections.abc import Iterator

from app import documents
from app.store import MAX_BYTES, Object, Store


class Memory(Store):
    """Objects in a dictionary, with the conditions that a bucket has."""

    root, prefix = "memory://test", ""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def read_if_changed(self, key: str, etag: str | None, limit: int = MAX_BYTES) -> Object | None:
        if key not in self.objects:
            raise self._absent(key)
        found = Object(self.objects[key], documents.sha256(self.objects[key]))
        if len(found.data) > limit:
            raise self._too_large(key, limit)
        return None if found.etag == etag else found

    def replace(self, key: str, data: bytes, etag: str | None) -> None:
        held = self.objects.get(key)
        if (None if held is None else documents.sha256(held)) != etag:
            raise self._conflict(key)
        self.objects[key] = data

    def write(self, key: str, data: bytes) -> None:
        self.objects[key] = data

    def list(self, prefix: str) -> Iterator[str]:
        yield from sorted(key for key in self.objects if key.startswith(prefix))

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)
