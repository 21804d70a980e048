"""Freed memory is kept for the next batch: told by glibc's own book-keeping, in a process of its own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

BLOCKS = """
import ctypes, sys
from raw2vec.memory import keep_freed
print(keep_freed() if sys.argv[1] == "keep" else None)
class Book(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
        "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks top".split()]
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
libc.mallinfo2.restype = Book
for block in [libc.malloc(24 << 20) for _ in range(6)]:
    libc.free(block)
print(libc.mallinfo2().fordblks >> 20)
"""

_library, _version = platform.libc_ver()
glibc = pytest.mark.skipif(
    _library != "glibc" or tuple(map(int, _version.split("."))) < (2, 33),
    reason="only glibc gives memory back so soon, and tells of it since 2.33",
)


@glibc
def test_freed_blocks_stay_with_the_process() -> None:
    (kept, free), (_, plain) = told("keep"), told("leave")
    assert kept == "True"
    assert int(free) >= 6 * 24 > int(plain)  # MiB


@glibc
def test_an_environment_that_says_how_is_obeyed() -> None:
    assert told("keep", MALLOC_TRIM_THRESHOLD_="131072")[0] == "False"


def told(way: str, **more: str) -> list[str]:
    """Whether a process keeps memory, and how many MiB lie free in it after six blocks of 24 were freed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", BLOCKS, way]
    return subprocess.run(command, env=clean | more, capture_output=True, text=True, check=True).stdout.split()
