"""Ctrl-C ends every command: within seconds, with 130 and one line, from any moment, the first time."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from interrupting import COMMANDS, interrupt_all, make_inputs, moments

from affect_data.interrupts import GRACE, MESSAGE, _must_not_fail, interrupts_wait

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at processes through /proc")

DESTRUCTOR = """
class Slow:
    def __del__(self):
        up()
        time.sleep(60)

def command():
    value = Slow()
    del value
    print("done")
"""
DEAF = """
def command():
    up()
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""
FINISHED = """
import atexit

def command():
    atexit.register(lambda: (up(), time.sleep(60)))
"""
WORKERS = """
from affect_data.processes import map_jobs

def command():
    for number in map_jobs(abs, range(10_000_000), 2):
        if number == 10:
            up()
"""
ANOTHER_ERROR = """
def command():
    up()
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        raise ImportError("half a library")
"""
IMPORTS = """
def command():
    import loaded
    time.sleep(30)
"""
LOADED = """
import time
from pathlib import Path

print("up", flush=True)
time.sleep(0.4)
Path(__file__).with_name("whole").touch()
"""
PROGRAM = """
import sys, time
from affect_data.entry import run_entry_point

def up():
    print("up", flush=True)

{body}
if __name__ == "__main__":
    run_entry_point(command)
"""


def interrupted(folder: Path, body: str, root: Path) -> tuple[int, str, float]:
    """Status, stderr and seconds of a command that gets one Ctrl-C as soon as it says that it is up."""
    script = folder / "program.py"
    script.write_text(PROGRAM.format(body=body))
    command = [sys.executable, str(script)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(root)}, start_new_session=True, **pipes
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "up\n"
        began = time.monotonic()
        os.killpg(running.pid, signal.SIGINT)
        _, log = running.communicate(timeout=60)
        return running.returncode, log, time.monotonic() - began


@pytest.mark.parametrize(
    "body", [FINISHED, WORKERS, ANOTHER_ERROR], ids=["at its end", "with workers", "as another error"]
)
def test_a_command_ends_at_once_however_the_interrupt_reaches_it(
    body: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    status, log, seconds = interrupted(tmp_path, body, request.config.rootpath)
    assert (status, log) == (130, f"{MESSAGE}\n")
    assert seconds < 5


@pytest.mark.parametrize("body", [DESTRUCTOR, DEAF], ids=["in a destructor", "caught"])
def test_a_command_ends_in_time_where_the_interrupt_is_lost(
    body: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    status, log, seconds = interrupted(tmp_path, body, request.config.rootpath)
    assert (status, log) == (130, f"{MESSAGE}\n")
    assert seconds < 2 * GRACE


def test_an_import_is_not_broken_off_because_its_c_code_would_abort(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    (tmp_path / "loaded.py").write_text(LOADED)
    status, log, seconds = interrupted(tmp_path, IMPORTS, request.config.rootpath)
    assert (status, log) == (130, f"{MESSAGE}\n")
    assert (tmp_path / "whole").exists()
    assert seconds < GRACE


def test_what_polars_asks_of_numpy_is_not_broken_off_because_its_code_would_panic() -> None:
    from numpy.lib import NumpyVersion

    found = {}

    def look(frame: object, event: str, _: object) -> None:
        if event == "call":
            found[frame.f_code.co_name] = _must_not_fail(frame)

    sys.setprofile(look)
    try:
        NumpyVersion("2.4.0")
        os.fspath(Path("a"))
    finally:
        sys.setprofile(None)
    assert found["__init__"]
    assert not found["__fspath__"]


def test_an_interrupt_waits_for_the_end_of_a_block_and_then_comes() -> None:
    done = []

    def raise_in_block() -> None:
        with interrupts_wait():
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.05)
            done.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        raise_in_block()
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.slow
def test_ctrl_c_at_random_moments_of_all_commands(tmp_path: Path) -> None:
    tried = list(interrupt_all(make_inputs(tmp_path), moments(len(COMMANDS), seed=0)))
    assert {one.command for one in tried} == set(COMMANDS)
    wrong = {
        (one.command, one.forked, round(one.moment, 3), *one.complaints()): one.log for one in tried if one.complaints()
    }
    assert wrong == {}
