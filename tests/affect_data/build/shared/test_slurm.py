"""The job scripts of docs/scaling.md do what the page says: bash runs them with the variables that Slurm sets."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from affect_data.build.build import build
from affect_data.build.recipe import read_recipe

SCRIPT = re.compile(r"```bash\n(#!/bin/bash\n# (\w+\.sh).*?)```", re.DOTALL)
COMMAND = f"""#!/bin/bash
exec {sys.executable} -m affect_data "$@"
"""


def test_the_scripts_of_the_page_build_the_dataset_of_one_machine(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    make_expw: Callable[..., Path],
    digests: Callable[[Path], dict[str, str]],
) -> None:
    page = (request.config.rootpath / "docs/scaling.md").read_text(encoding="utf-8")
    for text, name in SCRIPT.findall(page):
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = tmp_path / "bin/affect-data"
    command.parent.mkdir()
    command.write_text(COMMAND)
    command.chmod(0o755)
    make_expw(tmp_path / "roots/expw")
    (tmp_path / "recipe.yaml").write_text("databases: {expw: {}}\nshard_rows: 4\n")
    variables = {
        **os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "PARTS": "1", "SLURM_ARRAY_TASK_ID": "1",
        "RECIPE": "recipe.yaml", "DATASET": "merged", "ROOTS": "roots",
    }  # fmt: skip

    for script in ("build.sh", "finish.sh"):
        subprocess.run(["bash", script], cwd=tmp_path, env=variables, check=True)
    build(read_recipe(tmp_path / "recipe.yaml"), {"expw": tmp_path / "roots/expw"}, tmp_path / "local")
    assert digests(tmp_path / "merged") == digests(tmp_path / "local")
