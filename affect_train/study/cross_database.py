"""Trains without each database in turn, and judges it on the database that it has not seen."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from affect_data.bounds import read_json
from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.schema import LABELS
from affect_data.errors import DataError, UsageError
from affect_data.files import write_json, write_text
from affect_data.leaks.leaks import source_family
from affect_train.evaluation.protocol import Protocol, check_dataset
from affect_train.inputs.labels import column_array, load_labels
from affect_train.inputs.source import open_own_folder
from affect_train.recipe.recipe import Recipe
from affect_train.study.description import Command
from affect_train.study.execution import RunCommand, run_chains

RESULT: Final = "cross-database.json"
RECIPE: Final = "recipe.yaml"
PROTOCOL: Final = "protocol.yaml"
EVERY: Final = "all"
"""The chain that trains on all databases: its figures are those within a database, on other people."""


def cross_database(
    recipe: Recipe,
    protocol: Protocol,
    protocol_text: str,
    out: Path,
    run: RunCommand,
    *,
    workers: int = 1,
    resamples: int = 1000,
) -> dict[str, Any]:
    """The matrix of figures, as written to ``cross-database.json``; a killed run goes on where it stopped.

    Databases that share a source family are left out together. Every model is kept as it is at the end of its training: no split chooses one.

    Args:
        recipe: of every training; its output is not used.
        protocol: by which the models are judged.
        protocol_text: the content of its file.
        out: the folder.
        run: runs a command in the calling process, as for `execution.run_study`.
        workers: how many trainings run at a time.
        resamples: of people behind the intervals.

    Raises:
        UsageError: the folder holds another recipe or protocol; the recipe has soft labels, whose teacher may have seen what is left out; or all
            databases are of one family.
        ModelMismatchError: the dataset or the model does not fit the protocol.
        StepFailedError: a training or a judgement failed.
    """
    folder = open_own_folder(recipe.dataset, "affect-train cross-database")
    check_dataset(protocol, folder)
    families, left_out = chains_of(recipe, protocol, folder)
    prepared = _prepared(recipe)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in ((RECIPE, prepared.to_yaml()), (PROTOCOL, protocol_text)):
        _write_once(out / name, text)
    chains = {EVERY: _commands(out, EVERY, (), recipe, resamples)}
    chains |= {
        f"without-{family}": _commands(out, f"without-{family}", names, recipe, resamples)
        for family, names in families.items()
    }
    notes = run_chains(chains, out, run, workers)
    judged = {name: chain["score-judge"]["printed"] for name, chain in notes.items()}
    document = {
        "dataset": folder.path.name,
        "fingerprint": folder.fingerprint,
        "protocol": same_protocol({name: one["protocol"] for name, one in judged.items()}),
        "families": {family: list(names) for family, names in families.items()},
        "left_out": left_out,
        "figures": {name: one["figures"] for name, one in judged.items()},
        "commits": sorted({note["commit"] for chain in notes.values() for note in chain.values()}),
        "seconds": {name: {label: note["seconds"] for label, note in chain.items()} for name, chain in notes.items()},
    }
    write_json(out / RESULT, document)
    return document


def chains_of(
    recipe: Recipe, protocol: Protocol, folder: DatasetFolder
) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """The databases to leave out together, by source family, and why other families cannot be left out.

    Raises:
        UsageError: the recipe has soft labels, or leaves out databases itself; or all databases are of one family.
    """
    if recipe.soft_labels:
        raise UsageError(
            f"soft_labels: the teacher of {', '.join(recipe.soft_labels)} may have seen the database that is left out; remove them"
        )
    if recipe.training.without_databases:
        raise UsageError("training.without_databases: cross-database leaves out each database in turn; remove it")
    tasks = recipe.tasks.task_set()
    data, labels = load_labels(folder, recipe.training.split, tasks)
    names, codes = data.features["database"].names, column_array(data, "database")
    members: dict[str, list[str]] = {}
    for name in folder.manifest.layout.databases:
        members.setdefault(source_family(name), []).append(name)
    if len(members) < 2:
        (family,) = members
        raise UsageError(
            f"all databases of '{folder.path}' are of one source family, {family} ({', '.join(members[family])}): nothing is left to train on "
            "without it; merge a database of another source"
        )
    judged = column_array(folder.load(protocol.split, [LABELS]), "database")
    found, left_out = {}, {}
    for family, own in members.items():
        others = ~np.isin(codes, [names.index(name) for name in own])
        missing = [task for task, rows in labels.pools(tasks).items() if not others[rows].any()]
        if not np.isin(judged, [names.index(name) for name in own]).any():
            left_out[family] = (
                f"it has no row in the split '{protocol.split}' (`holdout` in the data recipe gives it some)"
            )
        elif missing:
            left_out[family] = f"no other database has labels of {', '.join(missing)} to train on"
        elif not protocol.databases or set(own) & set(protocol.databases):
            found[family] = tuple(own)
    if not found:
        because = (
            "; ".join(f"{family}: {reason}" for family, reason in left_out.items()) or "the protocol names none of them"
        )
        raise UsageError(f"no database of '{folder.path}' can be left out ({because})")
    return found, left_out


def same_protocol(protocols: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The protocol by which all figures were made.

    Args:
        protocols: title and hash, by what was judged.

    Raises:
        DataError: they differ, so that the figures cannot be compared.
    """
    found = {one["hash"]: name for name, one in protocols.items()}
    if len(found) > 1:
        shown = ", ".join(f"{name}: {digest}" for digest, name in found.items())
        raise DataError(f"figures of different protocols are not comparable ({shown}); judge all by one protocol")
    return dict(next(iter(protocols.values())))


def read_result(folder: Path) -> dict[str, Any]:
    """The matrix in a finished folder.

    Raises:
        DataError: there is none.
    """
    try:
        found: dict[str, Any] = read_json(folder / RESULT)
    except (OSError, ValueError):
        raise DataError(
            f"'{folder}' holds no finished matrix; run `affect-train cross-database RECIPE --out {folder}`"
        ) from None
    return found


def _prepared(recipe: Recipe) -> Recipe:
    """The recipe without a split that chooses a checkpoint: it would show rows of the database that is left out."""
    options = {"validation_split": None, "keep_best": 0, "patience": None}
    return recipe.model_copy(update={"training": recipe.training.model_copy(update=options)})


def _write_once(path: Path, text: str) -> None:
    if not path.exists():
        write_text(path, text)
    elif path.read_text(encoding="utf-8") != text:
        raise UsageError(f"'{path}' is of another call: figures of both would be mixed; name another folder by --out")


def _commands(out: Path, name: str, without: Sequence[str], recipe: Recipe, resamples: int) -> list[Command]:
    """Training and judgement of one row of the matrix."""
    model, dataset = str(out / name / "run"), str(recipe.dataset)
    left = f"training.without_databases=[{','.join(without)}]"
    train = ("affect-train", "train", str(out / RECIPE), f"output={model}", left)
    judge = ("affect-train", "judge", model, dataset, str(out / PROTOCOL), "--bootstrap", str(resamples), "--json")
    return [
        Command(name="train", each="", words=train, is_score=False),
        Command(name="judge", each="", words=judge, is_score=True),
    ]
