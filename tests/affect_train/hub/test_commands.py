"""`affect-train publish`, and other commands with a model of the Hub."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from loopback_hub import LoopbackHub

from affect_train.cli.app import main

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def affect_train(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs ``affect-train``; gives exit status, stdout and stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["affect-train", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return (int(ended.value.code or 0), *capsys.readouterr())

    return run


def test_a_plan_is_shown_and_nothing_is_sent(
    hub: LoopbackHub, affect_train: Command, trained: Path, dataset: Path
) -> None:
    status, out, _ = affect_train("publish", trained, "anna/teacher", "--dataset", dataset, "--dry-run")
    lines = out.splitlines()
    assert status == 0
    assert lines[0] == "anna/teacher (private, new)"
    assert "9 file(s) new or changed, 0 as they are, 0 to delete" in lines
    assert [line for line in lines if line.startswith("  ")] == [
        "  affwild2: academic research only, by an agreement that a permanent academic signs; no redistribution in any form "
        "(https://ibug.doc.ic.ac.uk/resources/aff-wild2/)",
        "  expw: non-commercial research only; the photographs come from web searches and belong to their owners; no redistribution "
        "(http://mmlab.ie.cuhk.edu.hk/projects/socialrelation/index.html)",
    ]
    assert not hub.repositories


def test_publish_predict_and_label_take_the_name_of_a_repository(
    hub: LoopbackHub, affect_train: Command, trained: Path, dataset: Path, own_dataset: Path, faces: list[Path]
) -> None:
    status, out, _ = affect_train("publish", trained, "anna/teacher", "--dataset", dataset, "--json")
    said = json.loads(out)
    assert status == 0
    assert (said["published"], said["visibility"], said["left_out"]) == (True, "private", {})
    assert said["commit"] == hub.repositories["model", "anna/teacher"].head
    status, out, _ = affect_train("publish", trained, "anna/teacher", "--dataset", dataset)
    assert out.splitlines()[-1] == f"unchanged: anna/teacher at {said['commit'][:12]}"
    revision = f"anna/teacher@{said['commit']}"
    status, out, _ = affect_train("predict", revision, faces[0], "--crop", "as-is", "--json")
    assert status == 0
    assert list(json.loads(out)[0]["action_units"]) == ["AU25", "AU1"]
    status, out, _ = affect_train("label", revision, own_dataset, "--name", "teacher", "--json")
    assert status == 0
    assert json.loads(out)["provenance"]["teacher_id"] == "anna/teacher"


def test_what_goes_wrong_ends_with_a_status_and_a_remedy(
    hub: LoopbackHub, affect_train: Command, trained: Path, dataset: Path, faces: list[Path]
) -> None:
    status, _, log = affect_train("publish", trained, "anna/teacher", "--dataset", dataset, "--public")
    assert status == 2
    assert "Leave --public out" in log
    status, _, log = affect_train("predict", "anna/nothing", faces[0])
    assert status == 1
    assert log.splitlines()[-1] == (
        "error: anna/nothing: there is neither such a folder here nor such a repository on the Hub, or your token may not see it. "
        "Check the name, and `hf auth whoami`"
    )
    status, _, log = affect_train("label", "anna/nothing", dataset, "--name", "x")
    assert status == 1
    assert "anna/nothing: there is neither such a folder here nor such a repository" in log
