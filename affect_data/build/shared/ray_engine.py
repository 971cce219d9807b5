"""Builds a dataset on a Ray cluster: its tasks are the parts, the data stay on a file system that all nodes share, and small reports come back."""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from affect_data.build.build import BuildReport
from affect_data.build.databases import Progress
from affect_data.build.recipe import DataRecipe
from affect_data.build.shared.finish import finish
from affect_data.build.shared.folder import PartNumber, PartsError, PartsFolder, Plan
from affect_data.build.shared.part import PartReport, build_part
from affect_data.errors import AffectError, UsageError

PARTS_PER_PLACE: Final = 4
"""Parts for each of the tasks that run at once, so that a slow one does not keep all others waiting at the end."""

TRIES: Final = 3
"""How often a task is begun whose process or node dies."""


@dataclass(frozen=True)
class Task:
    """A task on the cluster.

    Attributes:
        name: for people.
        function: picklable.
        arguments: of the function.
        processors: that it uses.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    processors: int = 1


@dataclass(frozen=True)
class RayReport:
    """What a build on a cluster did.

    Attributes:
        build: the dataset.
        parts: how many parts it had.
        nodes: how many nodes worked on them.
        deaths: tasks whose process or node died, and why; each was begun again.
    """

    build: BuildReport
    parts: int
    nodes: int
    deaths: tuple[str, ...]


def build_on_ray(
    recipe: DataRecipe,
    roots: Mapping[str, Path],
    out: Path,
    *,
    overwrite: bool = False,
    follow_links: bool = False,
    accept_incomplete: bool = False,
    progress: Progress = lambda *_: None,
) -> RayReport:
    """Builds the dataset of a recipe on the cluster at ``RAY_ADDRESS``, or on this machine if none is named.

    Each part uses as many processors as the recipe has workers. A call that was ended goes on where it stopped, also on another cluster, and so
    do ``--part`` and ``--finish``.

    Args:
        recipe: what to merge.
        roots: folder by database name, which every node sees.
        out: dataset folder to make, on a file system that all nodes share.
        overwrite: whether another dataset at `out` may be replaced.
        follow_links: whether symbolic links may lead out of the databases' folders.
        accept_incomplete: whether incomplete databases are built as they are; the lock says so.
        progress: told about every step.

    Raises:
        UsageError: Ray is not installed.
        PartsError: a task died again and again, or a node does not see the folders.
        AffectError: as `affect_data.build.build.build`.
    """
    folder = PartsFolder(out.absolute())
    # Tasks run in other folders than this process, and without its variables.
    places = {name: recipe.root_of(name, roots).absolute() for name in recipe.databases}
    ray = _connected(recipe.workers)
    begun = folder.plan()
    count = begun.parts if begun is not None else max(1, PARTS_PER_PLACE * (_processors(ray) // recipe.workers))
    folder.begin(Plan.of(recipe, count))
    deaths: list[str] = []
    options = {"follow_links": follow_links, "accept_incomplete": accept_incomplete}
    parts = [
        Task(f"part {part}", _build_on_node, (recipe, places, folder.out, part, options), recipe.workers)
        for part in (PartNumber(number, count) for number in range(1, count + 1))
    ]
    reports = run_tasks(ray, parts, deaths, progress)
    nodes = len({node for node, _ in reports})
    report = finish(
        recipe, places, folder.out, overwrite=overwrite, accept_incomplete=accept_incomplete, progress=progress
    )
    return RayReport(report, count, nodes, tuple(deaths))


def run_tasks(
    ray: Any,  # noqa: ANN401 - the module, which has no types here
    tasks: Sequence[Task],
    deaths: list[str],
    progress: Progress = lambda *_: None,
) -> list[Any]:
    """The results of tasks, in the order in which they end. A task whose process or node dies is begun again, `TRIES` times at most.

    Args:
        ray: the module, connected.
        tasks: to run.
        deaths: receives a sentence for each death.
        progress: told about every task that has ended.

    Raises:
        PartsError: a task died each time.
        AffectError: the error of a task.
    """
    tries = dict.fromkeys(range(len(tasks)), 1)
    running = {_begin(ray, task): number for number, task in enumerate(tasks)}
    results: list[Any] = []
    try:
        while running:
            (ended,), _ = ray.wait(list(running), num_returns=1)
            number = running.pop(ended)
            try:
                results.append(ray.get(ended))
            except ray.exceptions.RayTaskError as error:
                raise error.cause if isinstance(error.cause, AffectError) else error from None
            except ray.exceptions.RayError as error:
                deaths.append(f"{tasks[number].name}: {_because(error)}")
                if tries[number] == TRIES:
                    raise _lost(tasks[number], deaths) from None
                tries[number] += 1
                running[_begin(ray, tasks[number])] = number
            progress("building parts", len(results), len(tasks))
    finally:
        for left in running:
            ray.cancel(left, force=True)
    return results


def _begin(ray: Any, task: Task) -> Any:  # noqa: ANN401 - of Ray, which has no types here
    # Ray would begin a dead task again by itself, and not say so.
    remote = ray.remote(num_cpus=task.processors, max_retries=0)(task.function)
    return remote.remote(*task.arguments)


def _lost(task: Task, deaths: Sequence[str]) -> PartsError:
    own = [death.partition(": ")[2] for death in deaths if death.startswith(f"{task.name}: ")]
    return PartsError(
        f"{task.name} died {len(own)} times on the cluster ({'; '.join(dict.fromkeys(own))}). Where memory ran out, use fewer workers or "
        "nodes with more; then run the same command again: what was packed is kept"
    )


def _because(error: Exception) -> str:
    """The first sentence of what Ray says of a death."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}, {text.partition('. ')[0].rstrip('.')}" if text else type(error).__name__


def _connected(workers: int) -> Any:  # noqa: ANN401 - the module
    """The module ``ray``, connected to the cluster that ``RAY_ADDRESS`` names or to one that is started here.

    Raises:
        UsageError: it is not installed.
    """
    # Ray reports usage to its makers unless it is told not to.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UsageError(
            'engine: ray: Ray is not installed: pip install "affectkit[ray]", the same on every node'
        ) from None
    if not ray.is_initialized():
        here = {} if os.environ.get("RAY_ADDRESS") else {"include_dashboard": False}
        ray.init(log_to_driver=False, configure_logging=False, **here)
    if _processors(ray) < workers:
        raise UsageError(
            f"a part uses {workers} processors (`workers`), and the cluster has {_processors(ray)}: use fewer workers"
        )
    return ray


def _processors(ray: Any) -> int:  # noqa: ANN401 - the module
    return int(ray.cluster_resources().get("CPU", 1))


# ---------------------------------------------------------------- on the nodes


def _build_on_node(
    recipe: DataRecipe, roots: Mapping[str, Path], out: Path, part: PartNumber, options: Mapping[str, Any]
) -> tuple[str, PartReport]:
    """The name of the node, and what became of a part there."""
    _seen_here(out)
    report = build_part(recipe, roots, out, part, **options)
    return socket.gethostname(), report


def _seen_here(out: Path) -> PartsFolder:
    """The folder of the parts, which the first process has begun.

    Raises:
        PartsError: it is not on this node.
    """
    folder = PartsFolder(out)
    if folder.plan() is None:
        raise PartsError(
            f"the node {socket.gethostname()} does not see '{folder.path}': name a dataset folder on a file system that all nodes share, by a "
            "path that is the same on all"
        )
    return folder
