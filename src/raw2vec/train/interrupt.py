"""Ctrl-C while training: heard at once, obeyed between two steps, where what is saved is whole."""

import signal
import threading
from types import FrameType
from typing import Self


class Interrupt:
    """Within the block a first Ctrl-C only sets `asked`; a second one stops at once, as ever.

    Where Ctrl-C is somebody else's (a handler of their own, another thread than the main one), nothing is changed.
    """

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Self:
        own = threading.current_thread() is threading.main_thread()
        self._ours = own and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._ours:
            signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *error: object) -> None:
        if self._ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
