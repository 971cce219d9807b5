"""How many of a video's decoded frames have certain numbers.

Where a file is damaged, decoders go on behind the damage: frames are missing, and those after it have moved up, so that their labels would belong to
other pictures. What a container promises, and when frames are shown, tell where that happened.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

TOLERATED: Final = 2
"""Containers promise up to so many frames more than are in whole videos."""

GAP: Final = 1.5
"""An interval of so many usual ones leaves out a frame."""

STEADY_SHARE: Final = 0.75
"""Share of intervals that are the usual one in a video of constant rate; the others are beside damage."""

STEADY_WITHIN: Final = 0.002
"""Seconds by which containers round times."""

_RIFF_START: Final = 8


@dataclass(frozen=True)
class Decoded:
    """What one decoding of a video found.

    Attributes:
        path: of the file.
        container: FFmpeg's name of its format.
        seconds: when each frame is shown.
        declared: number of frames that the container promises; 0 if it says nothing.
        duration: seconds of pictures that the container promises; 0 if it says nothing.
        broken: what stopped the decoding; empty if it came to the end.
    """

    path: Path
    container: str
    seconds: NDArray[np.float64]
    declared: int
    duration: float
    broken: str


@dataclass(frozen=True)
class Judgement:
    """How far the numbers of a video's frames are certain.

    Attributes:
        certain: number of frames from the beginning whose numbers are certain.
        problem: what is wrong with the video; empty if nothing is.
    """

    certain: int
    problem: str = ""


def judge(decoded: Decoded) -> Judgement:
    """How far the numbers of the frames are certain.

    - Where decoding stopped with an error, up to there, or to a gap before it.
    - Where the container promises no more than two frames more than there are, all of them.
    - AVI has no times: if empty places in its order are as many as the missing frames, frames were dropped when it was recorded, and all numbers are
      certain; if the file is shorter than it says, its end is missing; otherwise nothing is certain.
    - Other containers have times: the numbers are certain up to the first gap in an otherwise steady rate, or to the end if there is none.
    """
    count = len(decoded.seconds)
    missing = decoded.declared - count if decoded.declared else None
    gap, left_out = _gaps(decoded.seconds)
    if decoded.broken:
        return Judgement(count if gap is None or missing is not None else gap, decoded.broken)
    if missing is not None and missing <= TOLERATED:
        return Judgement(count)
    promised = f"the container promises {decoded.declared} frames, {count} can be decoded"
    if missing is not None and "avi" in decoded.container:
        return _judge_avi(decoded, promised, dropped=left_out == missing)
    if gap is not None:
        return Judgement(
            gap, f"about {left_out} frames are missing behind frame {gap - 1}, so that the numbers after it are unknown"
        )
    return Judgement(count, f"{promised}: its end is missing" if missing else _early_end(decoded))


def _judge_avi(decoded: Decoded, promised: str, *, dropped: bool) -> Judgement:
    count = len(decoded.seconds)
    if dropped:
        return Judgement(count, f"{promised}; the others were dropped when it was recorded")
    if _is_cut_off(decoded.path):
        return Judgement(count, f"{promised}: its end is missing")
    return Judgement(0, f"{promised}, and nothing tells which are missing")


def _gaps(seconds: NDArray[np.float64]) -> tuple[int | None, int]:
    """The number of the first frame behind a gap, and how many frames fit into all gaps; none if the rate is not constant."""
    intervals = np.diff(seconds)
    if len(intervals) < 2 or not np.isfinite(intervals).all():
        return None, 0
    usual = float(np.median(intervals))
    steady = np.abs(intervals - usual) <= max(STEADY_WITHIN, usual / 10)
    wide = intervals > GAP * usual
    if usual <= 0 or not wide.any() or steady.mean() < STEADY_SHARE:
        return None, 0
    return int(np.argmax(wide)) + 1, int(np.round(intervals[wide] / usual - 1).sum())


def _early_end(decoded: Decoded) -> str:
    """What is missing of the promised duration, as a problem; empty if nothing is."""
    seconds = decoded.seconds
    interval = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.0
    end = float(seconds[-1]) + interval if len(seconds) else 0.0
    if not decoded.duration - end > (TOLERATED + 0.5) * interval:
        return ""
    return (
        f"the container promises {decoded.duration:.2f} seconds, the last picture ends at {end:.2f}: its end is missing"
    )


def _is_cut_off(path: Path) -> bool:
    """Whether an AVI file is shorter than its first bytes say."""
    with path.open("rb") as file:
        head = file.read(_RIFF_START)
    return path.stat().st_size < _RIFF_START + int.from_bytes(head[4:], "little")
