"""What stands for a picture where it is a frame of a video: the video by its content, and the frame by number, time and checksum.

A reference is bytes like those of a picture's file, so that digests, fingerprints and comparisons of datasets hold for it as they are: it changes
exactly when the video or the frame does.
"""

import json
from dataclasses import asdict, dataclass
from typing import Self

from affect_data.pictures import REFERENCE_START


@dataclass(frozen=True)
class FrameReference:
    """One frame of a video.

    Attributes:
        video: name of the file in the dataset's folder of videos: its sha256, and its ending.
        frame: number, from 0.
        timestamp: seconds since the first frame.
        stamp: the container's time; None where it gives none that can be trusted.
        start: the container's time of the frame from which decoding begins; None with `stamp`.
        check: `affect_data.video.decoding.check_of` it.
        width: upright, in pixels.
        height: upright, in pixels.
    """

    video: str
    frame: int
    timestamp: float
    stamp: int | None
    start: int | None
    check: int
    width: int
    height: int

    def to_bytes(self) -> bytes:
        """The bytes that stand for the picture."""
        return REFERENCE_START + json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> Self:
        """The reference in such bytes."""
        return cls(**json.loads(bytes(data[len(REFERENCE_START) :])))
