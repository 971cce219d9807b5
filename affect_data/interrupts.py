"""Ctrl-C ends a command at any moment: with one line and status 130, within seconds, at the first press.

Python alone does not promise this. A `KeyboardInterrupt` is raised wherever the main thread happens to be. In a destructor or a callback of C code it
is printed and lost; during the import of a library it may become another error; while C code runs it waits. So the handler remembers that there was
an interrupt, whatever becomes of the exception, and a thread that does not depend on the main thread ends the process after `GRACE` seconds.

Only light modules of the standard library are imported, because this module is loaded before everything that takes time.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

STATUS: Final = 130
GRACE: Final = 2.5
"""Seconds that a command has to end by itself, with its locks released and its processes ended."""

ASK_AGAIN: Final = 0.1
"""Seconds after which an interrupt that came during an import is tried again."""

MESSAGE: Final = "interrupted; run the same command again to go on"

WAITED_FOR: Final = ("<frozen importlib._bootstrap>", "numpy/lib/_version.py")
"""Ends of the names of files whose functions compiled code calls: libraries such as torch while they are imported, and polars, which asks numpy for
its version when the two first meet."""


class _State:
    """The state of interrupts in this process."""

    def __init__(self) -> None:
        self.received = False
        self.said = False
        self.finished = False
        self.handled = threading.Event()
        self.doorbell: int | None = None


_state = _State()


def watch_interrupts(end_processes: Callable[[], None]) -> None:
    """Handles Ctrl-C in this process from now on. If the caller's shell ignores it, as for a background job, it stays ignored.

    Args:
        end_processes: kills the processes that this one has started; called if the command does not end in time.
    """
    if _state.doorbell is not None or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return
    read, _state.doorbell = os.pipe()
    os.set_blocking(_state.doorbell, False)
    # The interpreter writes here even while the main thread runs C code, during which the handler has to wait.
    signal.set_wakeup_fd(_state.doorbell, warn_on_full_buffer=False)
    threading.Thread(target=_end_in_time, args=(read, end_processes), daemon=True).start()
    sys.unraisablehook = _silent_after_interrupt(sys.unraisablehook)
    threading.excepthook = _silent_after_interrupt(threading.excepthook)
    signal.signal(signal.SIGINT, _interrupt)


def was_interrupted() -> bool:
    """Whether Ctrl-C was pressed, unless the command took it as its ordinary end (`interrupt_handled`)."""
    return _state.received


def command_finished() -> None:
    """Notes that the command is done: from now on, Ctrl-C ends the process at once, because nothing can be lost."""
    _state.finished = True


def interrupt_handled() -> None:
    """Notes that this Ctrl-C was the ordinary end of what ran, such as a server; the next one counts again."""
    _state.received = False
    _state.handled.set()


def say_interrupted() -> None:
    """Prints the line, once in each process; of several processes of one training only the first prints it."""
    if not _state.said and os.environ.get("RANK", "0") == "0":
        _state.said = True
        start = "\n" if sys.stderr.isatty() else ""
        os.write(2, f"{start}{MESSAGE}\n".encode())


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Holds back a Ctrl-C until the end of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    waiting: list[int] = []
    handler: Any = None
    if threading.current_thread() is threading.main_thread():
        # The mask alone only helps processes started here: another thread of this process would take the signal.
        handler = signal.signal(signal.SIGINT, lambda number, _: waiting.append(number))
    try:
        yield
    finally:
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if waiting:
            signal.raise_signal(signal.SIGINT)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _state.finished:
        end_now()
    if not _state.received and _must_not_fail(frame):
        again = threading.Timer(ASK_AGAIN, os.kill, (os.getpid(), signal.SIGINT))
        again.daemon = True
        again.start()
        return
    if _state.doorbell is not None:
        # Written here too, because a library such as asyncio may have replaced the interpreter's wake-up descriptor.
        os.write(_state.doorbell, bytes([number]))
    if not _state.received:
        _state.received = True
        raise KeyboardInterrupt


def _must_not_fail(frame: FrameType | None) -> bool:
    """Whether compiled code waits for what runs now, and would abort the process at an exception."""
    while frame is not None:
        if frame.f_code.co_filename.endswith(WAITED_FOR):
            return True
        frame = frame.f_back
    return False


def _end_in_time(bell: int, end_processes: Callable[[], None]) -> None:
    while True:
        if signal.SIGINT not in os.read(bell, 64):
            continue
        _state.handled.clear()
        if not _state.handled.wait(GRACE):
            end_now(end_processes)


def end_now(end_processes: Callable[[], None] = lambda: None) -> None:
    """Ends this process as interrupted, without the interpreter's ordinary end, which would wait for threads."""
    try:
        say_interrupted()
        end_processes()
    finally:
        os._exit(STATUS)


def _silent_after_interrupt(hook: Callable[[Any], object]) -> Callable[[Any], object]:
    """A hook of the interpreter that prints nothing after a Ctrl-C, because later errors are its consequences."""

    def silent(unraisable: Any) -> None:  # noqa: ANN401 - the interpreter's types
        if not _state.received:
            hook(unraisable)

    return silent
