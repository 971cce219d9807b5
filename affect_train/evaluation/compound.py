"""Compound expressions from a model that never learned them: from its action units, basic expressions and valence, or from a few examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.schema import MISSING_CLASS
from affect_data.errors import UsageError
from affect_data.files import write_json
from affect_data.vocabulary import COMPOUND_EXPRESSIONS
from affect_train.errors import ModelMismatchError
from affect_train.evaluation.compound_rule import RAF_DB, CompoundRule, intervals, metrics
from affect_train.evaluation.few_shot import few_shot
from affect_train.evaluation.intervals import Clusters
from affect_train.inference.inference import infer, infer_features, open_model, predictions
from affect_train.inference.inputs import inputs_of
from affect_train.inputs.crops import crop_groups
from affect_train.inputs.labels import column_array, split_rows, text_codes
from affect_train.inputs.loading import FaceImages
from affect_train.run_folder import model_folder
from affect_train.runtime import Runtime

if TYPE_CHECKING:
    from datasets import Dataset

    from affect_train.inputs.preprocess import Preprocessing
    from affect_train.network.model import AffectModel

Representation = Literal["outputs", "features"]

FITS = "a new last layer; nothing else of the model changes"
"""What a report says is fitted to the examples."""


@dataclass(frozen=True)
class CompoundFaces:
    """Labels and predictions of the faces of a split that show one of the chosen compound expressions.

    Attributes:
        labels: int64 [N], positions among the compound expressions.
        predictions: from `inference.predictions`, [N, ...].
        features: float16 [N, D] of the backbone; None where they were not asked for.
        clusters: which rows belong to one person.
        left_out: how many rows of the split are not here, by reason.
    """

    labels: NDArray[np.int64]
    predictions: dict[str, NDArray[Any]]
    features: NDArray[np.float16] | None
    clusters: Clusters
    left_out: dict[str, int]

    def values(self, on: Representation) -> NDArray[np.floating]:
        """The inputs of a new last layer, float [N, D]: all predictions side by side, or the backbone's features."""
        if on == "features":
            assert self.features is not None
            return self.features
        parts = [self.predictions["au"], self.predictions["expression"]]
        return np.concatenate([*parts, *(self.predictions[axis][:, None] for axis in ("valence", "arousal"))], axis=1)


def _compound_expressions(dataset: "Dataset") -> NDArray[np.int64]:
    """The compound expression of every row, int64; -1 where there is none, and everywhere if the dataset has no such column."""
    name = "compound_expression"
    none = np.full(len(dataset), MISSING_CLASS, np.int64)
    return column_array(dataset, name) if name in dataset.column_names else none


def compound_faces(
    model: "AffectModel",
    preprocessing: "Preprocessing",
    folder: DatasetFolder,
    names: Sequence[str],
    runtime: Runtime,
    split: str,
    *,
    on: Representation = "outputs",
) -> CompoundFaces | None:
    """The faces that show one of the compound expressions, with the model's predictions, on the main process; None on the others.

    Args:
        model: on its device.
        preprocessing: of the model.
        folder: the dataset.
        names: of the compound expressions.
        runtime: of this process.
        split: of the dataset.
        on: with ``features``, those of the backbone too.

    Raises:
        ModelMismatchError: no row of the split shows any of them.
    """
    dataset = split_rows(folder, split, crop_groups(folder, preprocessing))
    positions = np.full(len(COMPOUND_EXPRESSIONS) + 1, -1)
    positions[[COMPOUND_EXPRESSIONS.index(name) for name in names]] = np.arange(len(names))
    stored = _compound_expressions(dataset)
    labels = positions[stored]
    rows = np.flatnonzero(labels >= 0)
    if not len(rows):
        raise ModelMismatchError(
            f"'{folder.path}', split {split}",
            "no row with one of the compound expressions",
            f"labels among {', '.join(names)}",
            "name another split or dataset, for example one that was built with `raf_db` and its compound annotation",
        )
    shown = inputs_of(model, preprocessing, folder, split, runtime).showing(rows)
    with runtime.reporter.bar(f"compound expressions of {split}", len(shown)) as advance:
        logits = infer(model, shown, runtime, rows=rows, advance=advance)
    features = None
    if on == "features":
        pictures = FaceImages(dataset, preprocessing).showing(rows)
        with runtime.reporter.bar(f"features of {split}", len(rows)) as advance:
            features = infer_features(model, pictures, runtime, rows=rows, advance=advance)
    if logits is None:
        return None
    people = Clusters.of(
        column_array(dataset, "database"), text_codes(dataset, "subject"), text_codes(dataset, "track")
    )
    left_out = {
        "no compound expression": int((stored < 0).sum()),
        "another compound expression": int(((stored >= 0) & (labels < 0)).sum()),
    }
    return CompoundFaces(labels[rows], predictions(model, logits), features, people.rows(rows), left_out)


def evaluate_compound(
    path: Path | str,
    dataset: Path | str,
    split: str = "validation",
    *,
    names: Sequence[str] = RAF_DB,
    bootstrap: int = 0,
    shots: Sequence[int] = (),
    draws: int = 10,
    support: str = "train",
    on: Representation = "outputs",
    seed: int = 0,
    workers: int | None = None,
    output: Path | None = None,
) -> dict[str, Any] | None:
    """How well a model names compound expressions without an example and with a few, on the main process; None on the others.

    Args:
        path: run folder or model folder.
        dataset: dataset folder.
        split: whose faces are named.
        names: of the compound expressions.
        bootstrap: resamples of people behind the intervals; 0 leaves them out.
        shots: numbers of examples of each class; for each number, new last layers are fitted.
        draws: sets of examples for each number.
        support: the split that the examples are drawn from.
        on: what the new layer sees: the probabilities, valence and arousal that the model predicts, or the backbone's features.
        seed: of draws and resamples.
        workers: loader processes; None: what the machine has, as `loader_processes` says.
        output: JSON file.

    Raises:
        NotADatasetError: the dataset is not built.
        NotAModelError: there is no model.
        UnknownNameError: the dataset has no such split, or there is no such compound expression.
        ModelMismatchError: the model lacks a head, or no row shows one of the expressions.
        UsageError: examples would be drawn from the split that is named, or a class has too few.
    """
    folder = open_dataset(dataset)
    folder.rows(split)
    if shots:
        folder.rows(support)
        if support == split:
            raise UsageError(f"the split '{split}' is reported: draw examples from another split")
    runtime = Runtime.start(workers=workers)
    model, preprocessing = open_model(model_folder(path))
    model = model.to(runtime.accelerator.device)
    rule = CompoundRule.of(names, model.config.task_set())
    faces = partial(compound_faces, model, preprocessing, folder, rule.names, runtime, on=on if shots else "outputs")
    asked, known = faces(split), faces(support) if shots else None
    if asked is None:
        return None
    report: dict[str, Any] = {"dataset": folder.path.name, "fingerprint": folder.fingerprint, "split": split}
    report |= _zero_shot(rule, asked, bootstrap, seed)
    if known is not None:
        results = [_fitted(rule, known, asked, on, shots=number, draws=draws, seed=seed) for number in shots]
        report["few_shot"] = {"support": support, "on": on, "fits": FITS, "results": results}
    if output is not None:
        write_json(output, report)
    return report


def _fitted(
    rule: CompoundRule, known: CompoundFaces, asked: CompoundFaces, on: Representation, **options: int
) -> dict[str, Any]:
    """The metrics, on the asked faces, of new last layers fitted to examples among the known faces."""

    def measured(found: NDArray[np.int64]) -> dict[str, float]:
        every = metrics(found, asked.labels, rule.names)
        return {name: every[name] for name in ("uar", "accuracy")}

    return few_shot(known.values(on), known.labels, asked.values(on), rule.names, measured, **options)


def _zero_shot(rule: CompoundRule, faces: CompoundFaces, bootstrap: int, seed: int) -> dict[str, Any]:
    said = faces.predictions
    predicted = rule.scores(said["au"], said["expression"], said["valence"]).argmax(axis=1)
    found = metrics(predicted, faces.labels, rule.names)
    if bootstrap:
        found["intervals"] = intervals(
            predicted, faces.labels, len(rule.names), faces.clusters, resamples=bootstrap, seed=seed
        )
    return {
        "rows": len(faces.labels),
        "left_out": faces.left_out,
        "classes": list(rule.names),
        "dropped_action_units": {name: list(numbers) for name, numbers in rule.dropped.items()},
        "chance": {
            "uar": 1 / len(rule.names),
            "accuracy_of_commonest": float(np.bincount(faces.labels).max() / len(faces.labels)),
        },
        "zero_shot": found,
    }
