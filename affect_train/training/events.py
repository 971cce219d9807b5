"""Scalars for TensorBoard, in a file without the host's name, which the library's own writer puts into the file name."""

import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

VERSION = "brain.Event:2"


class EventFile:
    """A new file of events, ``events.out.tfevents.SECONDS.NUMBER``, which TensorBoard reads beside the older ones of its folder.

    Args:
        folder: of the files; made if there is none.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        number, seconds = 0, int(time.time())
        # Readers take the files in the order of their names, so the newest must come last.
        while (path := folder / f"events.out.tfevents.{seconds:010d}.{number}").exists():
            number += 1
        self._records = RecordWriter(path.open("xb"))
        self._write(Event(file_version=VERSION))

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Writes named numbers; they reach the file at once."""
        shown = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._write(Event(step=step, summary=Summary(value=shown)))

    def close(self) -> None:
        """Closes the file."""
        self._records.close()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
        self._records.flush()
