import re
from pathlib import Path

import pytest
from python_processes import run_python

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
SMOKES = sorted(file.name for file in BENCHMARKS.glob("*.py") if '"--smoke"' in file.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", SMOKES)
def test_a_benchmark_runs_at_a_tiny_size(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_python([BENCHMARKS / name, "--smoke"])
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search(r"\d", done.stdout)


def test_the_benchmarks_of_input_and_step_have_a_tiny_size() -> None:
    assert {"input.py", "step.py"} <= set(SMOKES)
