"""Work is mapped over plans in this process or in a few, and an error or an interruption ends all of it."""

import operator
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from affect_data.errors import SchemaError
from affect_data.processes import ProcessEndedError, WorkerProcesses, map_plans, run_program

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


def breaks_a_rule(plan: int) -> int:
    raise SchemaError("rule", "what it says", [f"uid {plan}"], 1)


def is_killed(plan: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return plan


def test_an_error_of_ours_arrives_as_it_was_raised_with_the_place_in_the_worker_behind_it() -> None:
    with pytest.raises(SchemaError, match=r"break the rule 'rule' \(what it says\): uid \d") as raised:
        list(map_plans(breaks_a_rule, [1, 2, 3], 2))
    assert "breaks_a_rule" in str(raised.value.__cause__)


def test_a_worker_that_is_killed_is_an_error_and_not_a_wait() -> None:
    with pytest.raises(ProcessEndedError, match=r"was ended by SIGKILL\. Where memory ran out, use fewer workers"):
        list(map_plans(is_killed, [1, 2, 3], 2))


def test_large_plans_and_results_pass_both_ways() -> None:
    plans = [bytes([number]) * 3_000_000 for number in range(6)]
    assert sorted(map_plans(bytes, plans, 2)) == plans


def test_processes_end_with_the_block_and_never_see_ctrl_c() -> None:
    with WorkerProcesses(2) as processes:
        found = list(processes.map(blocked_signals, [1, 2, 3, 4]))
        assert list(processes.map(blocked_signals, [])) == []
        assert all(signal.SIGINT in blocked for _, blocked in found)
        assert all(is_running(process) for process, _ in found)
    assert not any(is_running(process) for process, _ in found)


def blocked_signals(_: int) -> tuple[int, set[signal.Signals]]:
    return os.getpid(), {signal.Signals(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())}


def test_what_leads_a_group_ends_with_what_it_has_started() -> None:
    with WorkerProcesses(1, lead_groups=True) as processes:
        (started,) = processes.map(start_a_sleeper, [None])
        assert is_running(started)
    until = time.monotonic() + 5
    while is_running(started) and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_running(started)


def start_a_sleeper(_: None) -> int:
    return subprocess.Popen(["sleep", "600"]).pid


def test_a_program_is_ended_with_its_group_when_the_wait_for_it_is_interrupted() -> None:
    began = time.monotonic()
    timer = threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run_program(["sh", "-c", "trap '' TERM; sleep 600"], dict(os.environ), None)
    assert time.monotonic() - began < 5


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
