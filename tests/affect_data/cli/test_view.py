"""The command that looks at a dataset: served until it is interrupted, refused with a reason."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from urllib.request import urlopen

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from


def test_a_dataset_that_was_not_audited_is_shown_and_says_so(
    tmp_path: Path, make_expw: Callable[..., Path], affect_data: Callable[..., CompletedProcess[str]]
) -> None:
    dataset = build(
        recipe_from({"databases": {"expw": {}}}, "x"), {"expw": make_expw(tmp_path / "expw")}, tmp_path / "merged"
    ).dataset.path
    mistaken = affect_data("view", dataset, "--filters", "database=expv")
    assert (mistaken.returncode, "unknown database 'expv'" in mistaken.stderr) == (2, True)
    command = [sys.executable, "-m", "affect_data", "view", str(dataset), "--filters", "expression=anger", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
        assert (told["rows"], told["decisions"]) == (10, str(tmp_path / "merged.decisions.jsonl"))
        with urlopen(told["url"] + "about", timeout=20) as answer:
            about = json.loads(answer.read())
        assert about["start"] == "expression=anger"
        assert "was not audited. Audit it: `affect-data audit" in about["not_audited"]
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0
