"""What a forked child must let go of at once: descriptors that would keep a lock or a caller after the parent has gone.

The handles themselves raise `ForkError` in the child, and leave everything else of the parent's as it is.
"""

from __future__ import annotations

import os
import weakref
from typing import Final, Protocol


class Inherited(Protocol):
    """Something whose descriptors a forked child inherits."""

    def _abandon(self) -> None:
        """Closes the child's copies of descriptors, without waiting for any lock."""


_OPEN: Final[weakref.WeakSet[Inherited]] = weakref.WeakSet()

_hooked = False


def abandon_in_children(handle: Inherited) -> None:
    """Has `handle` abandoned in every child that this process forks from now on."""
    global _hooked
    _OPEN.add(handle)
    if not _hooked:
        _hooked = True
        os.register_at_fork(after_in_child=_abandon_all)


def _abandon_all() -> None:
    for handle in list(_OPEN):
        handle._abandon()
    _OPEN.clear()
