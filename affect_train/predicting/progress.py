"""How many pictures are done and how many there are, as far as is known: containers may promise too many frames, too few, or none."""

from collections.abc import Callable, Mapping

Tell = Callable[[int, int | None], None]
"""Is told how many pictures are done, and how many there are; None while that is not known."""


class PicturesDone:
    """Counts the pictures of sources; the total is mended by every source that turns out longer or shorter than it promised.

    Args:
        expected: about how many pictures each source has, by name; 0 if it does not say.
        tell: is told after each change.
    """

    def __init__(self, expected: Mapping[str, int], tell: Tell) -> None:
        self._left = dict(expected)
        self._done = 0
        self._tell = tell

    def add(self, source: str, pictures: int) -> None:
        """Counts pictures of a source that is not finished."""
        self._done += pictures
        if self._left[source]:
            # One is left at least: without it, the source would count as one that does not say.
            self._left[source] = max(1, self._left[source] - pictures)
        self._told()

    def finish(self, source: str) -> None:
        """Takes a source for finished, however many pictures it had."""
        self._left.pop(source, None)
        self._told()

    def _told(self) -> None:
        is_known = all(self._left.values())
        self._tell(self._done, self._done + sum(self._left.values()) if is_known else None)
