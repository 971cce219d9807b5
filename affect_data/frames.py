"""Which frames of a clip represent it."""

from collections.abc import Sequence


def parts_of(count: int, most: int) -> list[tuple[int, int]]:
    """First frame and end of each of `most` parts of a clip, whose lengths differ by at most one; of every frame if there are not more frames.

    Args:
        count: frames of the clip.
        most: number of parts, 1 or more.
    """
    parts = min(count, most)
    return [(part * count // parts, (part + 1) * count // parts) for part in range(parts)]


def evenly(frames: Sequence[str], most: int | None) -> list[str]:
    """The middle frame of each of `most` parts of the frames; all frames if `most` is None."""
    if most is None:
        return list(frames)
    return [frames[(start + stop) // 2] for start, stop in parts_of(len(frames), most)]
