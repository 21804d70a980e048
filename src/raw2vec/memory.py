"""Memory that was freed and is soon needed again: every batch asks for the same few large blocks."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)
_BLOCK = 1 << 25  # bytes: as large as every glibc takes
_KEPT = 1 << 29  # bytes that may lie free
_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


@cache
def keep_freed() -> bool:
    """Has this process keep freed blocks of up to 32 MiB, half a gigabyte in all, for who asks next; whether it does.

    glibc else gives them back, and the system clears each page anew when it is touched again: up to a tenth of the time
    of encoding (docs/log.md). Elsewhere nothing changes, nor where the environment says how memory is to be kept.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _OWN):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and bool(mallopt(_MMAP_THRESHOLD, _BLOCK)) and bool(mallopt(_TRIM_THRESHOLD, _KEPT))
