"""What a run prints while it runs: bars on a terminal, plain lines elsewhere, always on stderr and from one process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


class Reporter:
    """Messages and progress bars of one process.

    Args:
        speaks: False silences it; all processes but one are silent.
    """

    def __init__(self, *, speaks: bool = True) -> None:
        self.console = Console(stderr=True, quiet=not speaks, highlight=False)

    def say(self, message: str) -> None:
        """Prints one line."""
        self.console.print(message, markup=False, soft_wrap=True)

    @contextmanager
    def bar(self, description: str, total: int | None, done: int = 0) -> Iterator[Callable[[int], None]]:
        """A progress bar on a terminal, nothing elsewhere; yields a function to call with the number of items done.

        A total of None means that it is not known yet.
        """
        reached = done

        def advance(count: int) -> None:
            nonlocal reached
            reached += count
            show(reached, total)

        with self.estimated_bar(description, total, done) as show:
            yield advance

    @contextmanager
    def estimated_bar(
        self, description: str, total: int | None = None, done: int = 0
    ) -> Iterator[Callable[[int, int | None], None]]:
        """As `bar`, for a total that becomes known on the way; yields a function to call with all that is done, and with the total or None."""
        if not self.console.is_terminal or self.console.quiet:
            yield lambda done, total: None  # noqa: ARG005
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(description, total=total, completed=done)
            yield lambda done, total: progress.update(task, completed=done, total=total)
