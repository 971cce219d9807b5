"""A build on a Ray cluster of this machine: the bytes of a local build although a worker is killed, and deaths are named."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.build.shared import ray_engine
from affect_data.build.shared.folder import PartsError, PartsFolder
from affect_data.build.shared.ray_engine import Task, build_on_ray, run_tasks
from affect_data.errors import DatabaseNotFoundError, UsageError

pytestmark = pytest.mark.slow

RECIPE = recipe_from({"databases": {"expw": {}}, "shard_rows": 4, "engine": "ray"}, "data.yaml")


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A cluster with two places."""
    module = pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    module.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield module
    module.shutdown()


@pytest.fixture
def root(tmp_path: Path, make_expw: Callable[..., Path]) -> Path:
    return make_expw(tmp_path / "expw", faces=14)


def test_a_build_whose_worker_is_killed_has_the_bytes_of_a_local_one(
    ray: Any, root: Path, tmp_path: Path, digests: Callable[[Path], dict[str, str]]
) -> None:
    out = tmp_path / "shared/merged"
    killed: list[int] = []

    def kill_first() -> None:
        until = time.monotonic() + 120
        while not killed and time.monotonic() < until:
            for claim in PartsFolder(out).claim("x").parent.glob("part-*"):
                if text := claim.read_text() if claim.exists() else "":
                    killed.append(json.loads(text)["process"])
                    os.kill(killed[0], signal.SIGKILL)
                    return
            time.sleep(0.001)

    killer = threading.Thread(target=kill_first)
    killer.start()
    report = build_on_ray(RECIPE, {"expw": root}, out)
    killer.join()
    assert len(killed) == 1
    assert (report.parts, report.nodes) == (8, 1)
    assert len(report.deaths) == 1
    assert report.deaths[0].startswith("part ")
    assert "WorkerCrashedError" in report.deaths[0]
    build(RECIPE, {"expw": root}, tmp_path / "local")
    assert digests(out) == digests(tmp_path / "local")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_task_that_dies_each_time_is_named(ray: Any) -> None:
    deaths: list[str] = []
    with pytest.raises(
        PartsError, match=r"part 1/1 died 3 times on the cluster \(WorkerCrashedError, .*run the same command again"
    ):
        run_tasks(ray, [Task("part 1/1", die, ())], deaths)
    assert len(deaths) == 3


def test_errors_of_tasks_are_those_of_a_local_build(ray: Any, root: Path, tmp_path: Path) -> None:
    (root / "label/label.lst").unlink()
    with pytest.raises(DatabaseNotFoundError, match="expw: database not found in root"):
        build_on_ray(RECIPE, {"expw": root}, tmp_path / "merged")


def test_more_workers_than_processors_are_an_error_of_the_call(ray: Any, root: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"a part uses 3 processors \(`workers`\), and the cluster has 2: use fewer workers"
    ):
        build_on_ray(RECIPE.model_copy(update={"workers": 3}), {"expw": root}, tmp_path / "merged")


def test_a_node_that_does_not_see_the_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        PartsError,
        match=r"does not see .*\.merged\.parts': name a dataset folder on a file system that all nodes share",
    ):
        ray_engine._seen_here(tmp_path / "merged")
    assert list(tmp_path.iterdir()) == []


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, root: Path, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UsageError, match=r'engine: ray: Ray is not installed: pip install "affectkit\[ray\]"'):
        build_on_ray(RECIPE, {"expw": root}, tmp_path / "merged")


def test_the_engine_is_no_part_of_what_is_built() -> None:
    assert RECIPE.content() == RECIPE.model_copy(update={"engine": "local"}).content()


def test_the_command_says_what_worked_and_what_died(
    ray: Any, root: Path, tmp_path: Path, affect_data: Callable[..., CompletedProcess[str]]
) -> None:
    recipe = tmp_path / "data.yaml"
    recipe.write_text("databases: {expw: {}}\nengine: ray\n")
    done = affect_data("build", recipe, tmp_path / "merged", "--root", f"expw={root}")
    assert done.returncode == 0
    assert "8 parts on 1 node(s)" in done.stderr
    assert "built" in done.stdout
