"""Chains of commands run for real: what was done is not done again, and what fails says where to look."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from affect_data.errors import DataError, UsageError
from affect_data.files import exclusive
from affect_train.cli.app import run_command
from affect_train.study import read_study, run_study, study_page
from affect_train.study.execution import StepFailedError, _figure
from affect_train.study.origin import commit, digest_of
from affect_train.study.tables import papers_page

pytestmark = pytest.mark.usefixtures("loaded_chains")

DATA = {"databases": {"expw": {}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(DATA), encoding="utf-8")
    return tmp_path


def values(**changes: Any) -> dict[str, Any]:
    return {
        "title": "Faces in worlds",
        "seeds": [0, 1],
        "variables": {"faces": 30},
        "shared": {"world": {"run": "affect-data demo {shared}/world --databases expw --faces 24"}},
        "steps": {
            "databases": {"run": "affect-data demo {run}/databases --databases expw --faces {faces} --seed {seed}"},
            "dataset": {"run": "affect-data build {recipes}/data.yaml {run}/dataset --roots {run}/databases"},
        },
        "scores": {
            "large": {"run": "affect-data reveal {run}/dataset {run}/databases/truth.parquet {run}/t{each}", "each": [1, 2]},
            "small": {"run": "affect-data check {recipes}/data.yaml --roots {shared}/world"},
        },
        "metrics": {"rows": ["rows.train", "rows.validation"], "clean": "clean"},
        "claims": [{"claim": "there are rows", "better": "large", "above": 10, "metrics": ["rows"]}],
        **changes,
    }  # fmt: skip


def study_of(folder: Path, *overrides: str, **changes: Any) -> Any:
    (folder / "study.yaml").write_text(yaml.safe_dump(values(**changes), sort_keys=False), encoding="utf-8")
    return read_study(folder / "study.yaml", overrides)


def test_every_seed_has_its_chain_its_figures_and_its_time_and_nothing_is_done_twice(folder: Path) -> None:
    out = folder / "out"
    document = run_study(study_of(folder), folder, out, run_command, workers=2)
    assert document == json.loads((out / "study.json").read_text())
    for seed in ("0", "1"):
        rows = document["figures"]["large"][seed]["rows"]
        assert 10 < rows <= 40
        assert document["figures"]["small"][seed] == {"rows": None, "clean": 1.0}
        assert set(document["seconds"][seed]) == {
            "databases",
            "dataset",
            "score-large-1",
            "score-large-2",
            "score-small",
        }
    assert document["findings"][0]["verdict"] == "holds"
    assert document["study"] == {"digest": digest_of(study_of(folder)), "changed": []}
    assert document["commits"] == {"0": [commit()], "1": [commit()]}
    assert (out / "shared" / "world" / "truth.parquet").is_file()
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.json")}
    again = run_study(study_of(folder), folder, out, run_command, workers=1)
    assert again == document
    named = run_study(study_of(folder, claims=[]), folder, out, run_command)
    assert named["study"] == {"digest": document["study"]["digest"], "changed": ["claims: 1 removed"]}
    changed = {path for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp}
    assert changed <= {out / "study.json"}


def test_a_failing_command_names_itself_and_its_log_and_the_study_goes_on_from_there(folder: Path) -> None:
    broken = values()["steps"] | {"build_again": {"run": "affect-data build {recipes}/lost.yaml {run}/d2"}}
    with pytest.raises(
        StepFailedError,
        match=r"`affect-data build .*lost\.yaml .*` failed: .*lost\.yaml.*Its log is .*build_again\.txt",
    ):
        run_study(study_of(folder, "seeds=[0]", steps=broken), folder, folder / "out", run_command)
    assert (folder / "out" / "seed0" / "steps" / "dataset.json").is_file()
    (folder / "lost.yaml").write_text(yaml.safe_dump(DATA), encoding="utf-8")
    mended = broken | {"build_again": {"run": "affect-data build {recipes}/lost.yaml {run}/d2 --roots {run}/databases"}}
    document = run_study(study_of(folder, "seeds=[0]", steps=mended), folder, folder / "out", run_command)
    assert document["findings"][0]["verdict"] == "one seed"
    assert document["study"]["changed"] == ["steps: 1 changed"]
    assert "changed since: steps: 1 changed." in study_page(document)


def test_a_folder_of_other_commands_is_refused(folder: Path) -> None:
    run_study(study_of(folder, "seeds=[0]"), folder, folder / "out", run_command)
    with pytest.raises(
        UsageError, match=r"databases\.json' is of another command: the study has changed since; remove"
    ):
        run_study(study_of(folder, "seeds=[0]", "faces=31"), folder, folder / "out", run_command)


def test_a_second_study_in_the_same_folder_waits_for_nothing_and_touches_nothing(folder: Path) -> None:
    with exclusive(folder / "out"), pytest.raises(DataError, match=r"out' is being written by another process; wait"):
        run_study(study_of(folder), folder, folder / "out", run_command)
    assert [path.name for path in (folder / "out").iterdir()] == [".lock"]


def test_tables_show_means_intervals_and_verdicts(folder: Path) -> None:
    document = {
        "title": "Paper",
        "metrics": ["F1", "CCC"],
        "figures": {"one": {"0": {"F1": 0.1, "CCC": None}, "1": {"F1": 0.3, "CCC": None}}},
        "findings": [
            {
                "claim": "better",
                "metric": "F1",
                "better": 0.2,
                "other": 0.1,
                "difference": 0.1,
                "half_width": 0.05,
                "seeds": 2,
                "verdict": "holds",
                "p": 0.012,
                "q": 0.024,
            }
        ],
        "commits": {"0": ["abc"], "1": ["abc", "def+"]},
        "study": {"digest": "0123456789abcdef", "changed": []},
        "seconds": {"0": {"a": 60.0, "b": 30.0}, "1": {"a": 90.0}},
    }
    page = study_page(document)
    assert "| one | 0.200 ± 1.271 | – |" in page  # 12.706 * 0.1414 / sqrt(2)
    assert "| better | F1 | 0.200 | 0.100 | +0.100 ± 0.050 | 2 | 0.012 | 0.024 | holds |" in page
    out = folder / "paper1"
    out.mkdir()
    (out / "study.json").write_text(json.dumps(document))
    whole = papers_page([out])
    assert "| Paper | better | F1 | 0.200 | 0.100 | +0.100 ± 0.050 | 2 | 0.012 | 0.024 | holds |" in whole
    assert "recipes/paper1/study.yaml runs/papers/paper1 --workers 2` | 1.5 min | abc, def+ | 0123456789ab |" in whole


def test_a_figure_is_found_by_keys_and_places_in_lists_and_is_none_where_the_path_ends() -> None:
    document = {"results": [{"shots": 1, "uar": {"mean": 0.3}}, {"shots": 5, "uar": {"mean": 0.5}}]}
    assert _figure(document, "results.1.uar.mean") == 0.5
    for path in ("results.2.uar.mean", "results.mean", "results.-1.shots", "results.0.uar", "results.0.uar.mean.0"):
        assert _figure(document, path) is None


def descendants_of(process: int) -> list[Path]:
    children = [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return [found for child in children for found in (Path("/proc", str(child)), *descendants_of(child))]


def runs(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def interrupted_command(words: Sequence[str]) -> object:
    """A command that notes that it ran, and is interrupted."""
    out = Path(words[2]).parent
    (out / "begun").touch()
    raise KeyboardInterrupt


def test_an_interrupt_of_a_command_ends_the_study_and_is_no_failed_step(folder: Path) -> None:
    study = study_of(folder, shared={}, steps={"only": {"run": "affect-data build {run}/x"}}, scores={}, claims=[])
    with pytest.raises(KeyboardInterrupt):
        run_study(study, folder, folder / "out", interrupted_command)
    assert (folder / "out" / "seed0" / "begun").exists()
    assert not (folder / "out" / "seed1").exists()


def abort(words: Sequence[str]) -> object:
    os.kill(os.getpid(), signal.SIGABRT)
    return None


def test_a_command_that_crashes_names_itself_the_signal_and_its_log(folder: Path) -> None:
    with pytest.raises(
        StepFailedError, match=r"`affect-data demo .*` failed: .* ended by SIGABRT.*Its log is .*world\.txt"
    ):
        run_study(study_of(folder), folder, folder / "out", abort)


def test_what_a_command_and_its_own_processes_print_goes_to_its_log(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study_of(folder)
    run_study(study_of(folder, "seeds=[0]"), folder, folder / "out", loud)
    printed = capfd.readouterr()
    assert (printed.out, "from below" in printed.err) == ("", False)
    assert "from below" in (folder / "out" / "seed0" / "logs" / "dataset.txt").read_text()


def loud(words: Sequence[str]) -> object:
    subprocess.run(["echo", "from below"], check=True)
    return run_command(words)


@pytest.mark.slow
def test_a_study_that_is_killed_leaves_no_chain_behind(folder: Path) -> None:
    study_of(folder, shared={"world": {"run": "affect-data demo {shared}/world --databases expw --faces 50000"}})
    program = Path(sys.executable).with_name("affect-train")
    command = [program, "study", folder / "study.yaml", folder / "out"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not (folder / "out" / "shared" / "logs" / "world.txt").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(0.2)
        chains = descendants_of(process.pid)
    finally:
        process.kill()
        process.wait()
    assert len(chains) >= 3, "the tracker of multiprocessing, a chain, its command"
    while any(runs(chain) for chain in chains):
        assert time.monotonic() < deadline
        time.sleep(0.1)
