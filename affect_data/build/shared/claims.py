"""Claims: files by which processes on several machines divide work, without a lock and whatever their clocks say.

A claim is created by whoever does a piece of work, and beats: its content changes every few seconds. Others see by these changes that it is held,
and measure how long there was none, so that it does not matter what time any machine takes it to be. A claim only keeps work from being done twice:
should two processes hold one after all, both do the same work, and `place_first` takes one result.
"""

import json
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

from affect_data.files import created_first, move_aside, rewrite_start

BEAT: Final = 5.0
"""Seconds between two changes of a claim."""

PATIENCE: Final = 60.0
"""Seconds without a change after which whoever held a claim is taken to be gone. A network file system may show a change some seconds late."""

LOOK: Final = 0.2
"""Seconds between two looks at a claim."""

_CONTENT: Final = 512
"""Bytes of a claim: one block, so that none is seen half written."""


class Claim:
    """A claim that this process holds, until the end of the block.

    Attributes:
        token: a name that no other claim has.
    """

    def __init__(self, path: Path, descriptor: int, token: str) -> None:
        self.token = token
        self._path = path
        self._descriptor = descriptor
        self._ended = threading.Event()
        self._beats = 0
        self._beat()
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self._thread.start()

    @classmethod
    def take(cls, path: Path) -> "Claim | None":
        """The claim at a path; None if somebody holds it.

        Raises:
            FileAccessError: it cannot be written.
        """
        descriptor = created_first(path)
        return None if descriptor is None else cls(path, descriptor, uuid4().hex)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        os.close(self._descriptor)
        # Somebody may have taken this process for gone: that claim is not ours.
        if _held(self._path).get("token") == self.token:
            self._path.unlink(missing_ok=True)

    def _go_on(self) -> None:
        while not self._ended.wait(BEAT):
            # Work goes on even if nobody can be told.
            with suppress(OSError):
                self._beat()

    def _beat(self) -> None:
        self._beats += 1
        held = {"host": socket.gethostname(), "process": os.getpid(), "token": self.token, "beats": self._beats}
        rewrite_start(self._descriptor, json.dumps(held).encode().ljust(_CONTENT))


class Watch:
    """Looks at the claim of somebody else.

    Args:
        path: of the claim.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first = self._last = self._content()
        self._since = time.monotonic()

    @property
    def beats(self) -> bool:
        """Whether the claim has changed since the watch began, and is still held by the same process."""
        now = self._look()
        same = json.loads(now or b"{}").get("token") == json.loads(self._first or b"{}").get("token")
        return bool(now) and same and now != self._first

    @property
    def is_left(self) -> bool:
        """Whether whoever held the claim is gone: its process has ended, or there was no beat for `PATIENCE`."""
        content = self._look()
        held: dict[str, Any] = json.loads(content or b"{}")
        if held.get("host") == socket.gethostname() and not _is_running(int(held["process"])):
            return True
        return time.monotonic() - self._since > PATIENCE

    def holder(self) -> str:
        """Who holds the claim, for people."""
        held = _held(self._path)
        return f"process {held['process']} on {held['host']}" if "host" in held else "another process"

    def token(self) -> str:
        """The token of the claim; empty if there is none."""
        return str(_held(self._path).get("token", ""))

    def remove(self) -> None:
        """Removes a claim that `is_left`, so that it can be taken; safe if others remove it at this moment, too."""
        aside = self._path.with_name(f".{self._path.name}.{uuid4().hex}")
        if move_aside(self._path, aside):
            aside.unlink()

    def _look(self) -> bytes:
        content = self._content()
        if content != self._last:
            self._last, self._since = content, time.monotonic()
        return content

    def _content(self) -> bytes:
        return json.dumps(held).encode() if (held := _held(self._path)) else b""


def _held(path: Path) -> dict[str, Any]:
    """What a claim says; empty if there is none, or if it says nothing yet."""
    try:
        found = json.loads(path.read_bytes() or b"{}")
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
