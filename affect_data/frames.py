"""Which frames of a clip stand for all of them."""

from collections.abc import Sequence


def parts_of(count: int, most: int) -> list[tuple[int, int]]:
    """Beginnings and ends of as many parts of a clip, none longer than another by more than a frame; of each frame where there are no more.

    Args:
        count: frames of the clip.
        most: parts, 1 or more.
    """
    parts = min(count, most)
    return [(part * count // parts, (part + 1) * count // parts) for part in range(parts)]


def evenly(frames: Sequence[str], most: int | None) -> list[str]:
    """The middle frame of each of `parts_of` the frames; all of them where `most` is None."""
    if most is None:
        return list(frames)
    return [frames[(start + stop) // 2] for start, stop in parts_of(len(frames), most)]
