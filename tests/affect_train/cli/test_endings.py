"""However a command of training fails, it ends with a line that names the file and a remedy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from python_processes import run_python

CUT = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
sys.argv = ["affect_train", *sys.argv[1:]]
runpy.run_module("affect_train", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def recipe_file(recipe_values: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., Path]:
    def write(**sections: Any) -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(recipe_values(**sections)))
        return path

    return write


def test_a_loop_of_symbolic_links_as_recipe_dataset_or_output_is_named(
    recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    for arguments, status in (
        ((loop,), 2),
        ((recipe_file(), f"dataset={loop}"), 1),
        ((recipe_file(), f"output={loop}"), 1),
        (("predict", loop, "face.png"), 1),
        (("study", loop, tmp_path / "out"), 2),
    ):
        run = run_python(["-m", "affect_train", *arguments])
        assert (run.returncode, run.stdout) == (status, ""), run.stderr
        assert "Traceback" not in run.stderr
        assert run.stderr.splitlines()[-1].startswith("error: ")
        assert str(loop) in run.stderr


def test_a_checkpoint_that_cannot_be_written_is_named_and_the_run_goes_on_when_it_can(
    recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    recipe = recipe_file()
    run = run_python(["-c", CUT, recipe, "training.max_steps=1"])
    assert (run.returncode, run.stdout) == (1, ""), run.stderr
    assert "Traceback" not in run.stderr
    assert f"error: '{tmp_path / 'run'}" in run.stderr
    assert "the file would become larger than this file system or the limit of this shell" in run.stderr
    assert run_python(["-m", "affect_train", recipe, "training.max_steps=1"]).returncode == 0
