"""A program that knows only ``--help`` and ``--json`` builds, audits and trains; what it reads keeps to the published schemas."""

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from training_runs import fresh_accelerator

from affect_data.cli.app import main as run_affect_data
from affect_data.cli.documents import DOCUMENTS as DATA_DOCUMENTS
from affect_data.cli.documents import ErrorDocument
from affect_data.errors import AffectError, RecipeError, code_of
from affect_train.cli.app import main as run_affect_train
from affect_train.cli.documents import DOCUMENTS as TRAIN_DOCUMENTS
from affect_train.cli.pages import json_page

ROOT = Path(__file__).parents[2]
PROGRAMS: dict[str, tuple[Callable[[], None], Any]] = {
    "affect-data": (run_affect_data, DATA_DOCUMENTS),
    "affect-train": (run_affect_train, TRAIN_DOCUMENTS),
}
Ask = Callable[..., tuple[int, str]]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Runs a command line; gives its exit status and standard output."""

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", list(words))
        status = 0
        try:
            PROGRAMS[words[0]][0]()
        except SystemExit as end:
            status = int(end.code or 0)
        fresh_accelerator()
        return status, capsys.readouterr().out

    return run


def example(ask: Ask, program: str, command: str) -> list[str]:
    """The words of the example in a command's help."""
    shown = " ".join(ask(program, command, "--help")[1].split())
    return shlex.split(re.findall(r"Example: (.*?)(?: or |$)", shown)[-1].strip(" `"))


def answer(ask: Ask, *words: str) -> Any:
    """The document that a command prints, which keeps to its schema."""
    status, printed = ask(*words, "--json")
    assert status == 0, printed
    document = json.loads(printed)
    schema = PROGRAMS[words[0]][1].get(words[1])
    if schema is not None:
        TypeAdapter(schema).validate_python(document)
    return document


def test_a_dataset_is_built_audited_and_learned_from_by_help_and_json_alone(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    commands = ask("affect-data", "--help")[1]
    assert all(re.search(rf"\b{name}\b", commands) for name in ("demo", "init", "check", "build", "audit"))

    drawn = answer(ask, *example(ask, "affect-data", "demo"), "--faces", "60", "--databases", "affwild2,expw")
    started = answer(ask, *example(ask, "affect-data", "init"))
    assert set(started["databases"]) == set(drawn["databases"])
    check, build = (shlex.split(command) for command in started["next"])
    assert answer(ask, *check)["clean"]
    built = answer(ask, *build)
    assert "--check" in ask("affect-data", "audit", "--help")[1]
    assert answer(ask, "affect-data", "audit", built["dataset"], "--check", "va_scale")["has_errors"] is False

    recipe = example(ask, "affect-train", "validate")[-1]
    keys = [
        f"dataset={built['dataset']}",
        "output=run",
        "training.max_steps=2",
        "schedule.warmup_steps=0",
        "batches.size=8",
    ]
    assert answer(ask, "affect-train", "validate", recipe, *keys)["training"]["max_steps"] == 2
    assert answer(ask, "affect-train", "train", recipe, *keys, "--dry-run")["dry_run"]
    trained = answer(ask, "affect-train", "train", recipe, *keys)
    assert (trained["steps"], trained["output"]) == (2, "run")
    labelled = answer(ask, "affect-train", "label", trained["output"], built["dataset"], "--name", "teacher")
    assert labelled["rows"] == built["rows"]
    split = next(iter(built["rows"]))
    judged = answer(ask, "affect-train", "evaluate", trained["output"], built["dataset"], "--split", split)
    assert judged["splits"][split]["rows"] <= built["rows"][split]


def test_an_error_is_a_document_with_a_code_and_the_status_of_the_command(ask: Ask, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    for words, code, status in (
        (("affect-data", "stats", nowhere), "not-a-dataset", 1),
        (("affect-data", "check", nowhere), "usage", 2),
        (("affect-data", "databases", "dsfa"), "unknown-name", 2),
        (("affect-train", "recipe", "copy", "studnt"), "unknown-name", 2),
    ):
        ended, printed = ask(*words, "--json")
        error = ErrorDocument.model_validate_json(printed).error
        assert (error.code, error.exit_status, ended) == (code, status, status)
        assert ask(*words) == (status, ""), "people get the message on standard error alone"


def test_codes_follow_from_names_and_a_renamed_class_keeps_its_own() -> None:
    class RenamedError(AffectError):
        code = "old-name"

    assert RecipeError.code == "recipe"
    assert RenamedError.code == "old-name"
    assert [code_of(name) for name in ("NotADatasetError", "BoundError")] == ["not-a-dataset", "bound"]


def test_schemas_are_printed_and_the_page_is_that_of_the_code(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert (ROOT / "docs/json-output.md").read_text(encoding="utf-8") == json_page()
    for program, (_, documents) in PROGRAMS.items():
        for command in documents:
            printed = json.loads(ask(program, "schema", "--output", command)[1])
            assert printed["title"] == f"output of {command}"
            assert printed["properties"]
    status, _ = ask("affect-data", "schema", "--output", "biuld")
    assert status == 2
