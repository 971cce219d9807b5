"""Work is mapped over plans in this process or in a few, and an error or an interruption ends all of it."""

import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from affect_data.processes import map_plans

IN_TWO_PROCESSES = """
import os, time
from pathlib import Path
from affect_data.processes import map_plans

def note(folder):
    (Path(folder) / f"{os.getpid()}.pid").touch()
    time.sleep(0.05)

if __name__ == "__main__":
    list(map_plans(note, [os.environ["FOLDER"]] * 10_000, 2))
"""


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_one_worker_runs_in_this_process_and_in_order() -> None:
    assert list(map_plans(lambda plan: (os.getpid(), plan * 2), [1, 2, 3], 1)) == [(os.getpid(), n) for n in (2, 4, 6)]


def test_one_worker_does_nothing_before_it_is_asked() -> None:
    done: list[int] = []
    results = map_plans(done.append, [1, 2, 3], 1)
    assert done == []
    next(results)
    assert done == [1]


def test_a_single_plan_needs_no_process() -> None:
    assert list(map_plans(lambda plan: os.getpid(), ["plan"], 8)) == [os.getpid()]


def test_no_plan_gives_no_result() -> None:
    assert list(map_plans(operator.neg, [], 2)) == []


def test_two_workers_give_the_same_results() -> None:
    assert sorted(map_plans(operator.neg, range(20), 2)) == sorted(map_plans(operator.neg, range(20), 1))


def test_an_error_in_a_worker_reaches_the_caller_and_ends_the_rest() -> None:
    started = time.monotonic()
    with pytest.raises(TypeError, match="bad operand"):
        list(map_plans(operator.neg, ["no number", *range(10)], 2))
    assert time.monotonic() - started < 30


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")
def test_workers_end_when_the_main_process_is_killed(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    script = tmp_path / "work.py"
    script.write_text(IN_TWO_PROCESSES)
    environment = {**os.environ, "FOLDER": str(tmp_path), "PYTHONPATH": str(request.config.rootpath)}
    main = subprocess.Popen([sys.executable, str(script)], env=environment)
    try:
        until = time.monotonic() + 60
        while len(list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        workers = [int(found.stem) for found in tmp_path.glob("*.pid")]
        assert len(workers) == 2
    finally:
        main.send_signal(signal.SIGKILL)
        main.wait()
    until = time.monotonic() + 20
    while any(map(is_running, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    left = [worker for worker in workers if is_running(worker)]
    for worker in left:
        os.kill(worker, signal.SIGKILL)
    assert left == []
