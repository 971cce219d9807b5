"""Whether the row weights that a run has learned tell wrong expression labels from right ones."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.errors import DataError
from affect_data.files import write_json
from affect_data.vocabulary import EXPRESSIONS
from affect_train.errors import ModelMismatchError
from affect_train.evaluation.ranking import auroc
from affect_train.methods.meta.weight_network import WEIGHTS
from affect_train.run_folder import RunFolder

UIDS_SHOWN = 3


def separation(
    run: Path | str, dataset: Path | str, truth: Path | str, split: str = "train", output: Path | None = None
) -> dict[str, Any]:
    """The area under the ROC curve (``auroc``) of the weight as a score of right labels, with counts and mean weights.

    A row is *clean* if its expression is the same in both datasets, and *corrupted* if it is not. ``by_expression`` holds the same figures for the
    rows of each label: it shows weights that merely follow the class. ``auroc`` is None where the rows of a label are all clean or all corrupted.

    Args:
        run: a finished run of a method that weighs rows, ``meta_auxiliary`` or ``confidence_weighted``.
        dataset: the dataset that it was trained on.
        truth: the same rows with their true labels, for example from `affect-data reveal`.
        split: the split that it was trained on.
        output: JSON file to write.

    Raises:
        DataError: the run has no weights, or all weighted rows are clean, or all are corrupted.
        ModelMismatchError: the datasets hold different rows, or lack a weighted row.
        NotADatasetError: one of the folders is no dataset.
        UnknownNameError: one of them has no such split.
    """
    weights = _weights(Path(run))
    folders = open_dataset(dataset), open_dataset(truth)
    rows = _compared(*folders, split)
    unknown = weights.join(rows, on="uid", how="anti")["uid"]
    if len(unknown):
        raise ModelMismatchError(
            f"'{run}' and '{dataset}', split {split}",
            f"{len(unknown):,} weighted rows that the dataset does not hold, such as {_shown(unknown)}",
            "the dataset and the split that the run was trained on",
            "name that dataset, and its truth",
        )
    weighted = weights.join(rows, on="uid", how="inner", validate="1:1")
    known = weighted.filter(pl.col("clean").is_not_null())
    result = _separated(known)
    if result["auroc"] is None:
        found = f"{result['clean']['rows']:,} clean and {result['corrupted']['rows']:,} corrupted rows"
        raise DataError(
            f"'{run}' has weights of {found}, so that there is nothing to separate; name a dataset some of whose expressions are wrong, "
            "and the truth beside it"
        )
    report = {
        "dataset": folders[0].fingerprint,
        "truth": folders[1].fingerprint,
        "split": split,
        **result,
        "not_compared": len(weighted) - len(known),
        "without_weight": len(rows.filter(pl.col("label").is_not_null())) - len(weighted),
        "by_expression": {
            EXPRESSIONS[label]: _separated(known.filter(pl.col("label") == label))
            for label in known["label"].unique().sort().to_list()
        },
    }
    if output is not None:
        write_json(output, report)
    return report


def _weights(run: Path) -> pl.DataFrame:
    path = RunFolder(run).path / WEIGHTS
    if not path.is_file():
        raise DataError(
            f"'{run}' has no weights of rows: there is no '{path}'. A finished run of the method `meta_auxiliary` "
            "writes them; name such a run"
        )
    return pl.read_parquet(path, columns=["uid", "weight"])


def _compared(dataset: DatasetFolder, truth: DatasetFolder, split: str) -> pl.DataFrame:
    """Columns uid, label (null where there is none) and clean (null where either dataset has no expression)."""
    labelled, true = (_expressions(folder, split, name) for folder, name in ((dataset, "label"), (truth, "true")))
    for one, other, where in ((labelled, true, truth), (true, labelled, dataset)):
        missing = one.join(other, on="uid", how="anti")["uid"]
        if len(missing):
            raise ModelMismatchError(
                f"'{dataset.path}' and '{truth.path}', split {split}",
                f"{len(missing):,} rows that '{where.path}' lacks, such as {_shown(missing)}",
                "the same rows in both",
                "name the truth of this very dataset, as `affect-data reveal` writes it",
            )
    rows = labelled.join(true, on="uid", how="inner", validate="1:1")
    return rows.with_columns(clean=pl.col("label") == pl.col("true")).drop("true")


def _expressions(folder: DatasetFolder, split: str, name: str) -> pl.DataFrame:
    expression = pl.when(pl.col("expression_mask")).then(pl.col("expression").cast(pl.Int64))
    labels = folder.labels(split, ["uid", "expression", "expression_mask"])
    return labels.select("uid", expression.alias(name))


def _separated(rows: pl.DataFrame) -> dict[str, Any]:
    clean, weights = rows["clean"].to_numpy(), rows["weight"].to_numpy()
    return {
        "auroc": auroc(weights, clean),
        "clean": _described(weights[clean]),
        "corrupted": _described(weights[~clean]),
    }


def _described(weights: NDArray[np.floating[Any]]) -> dict[str, float | int | None]:
    return {"rows": len(weights), "mean_weight": float(weights.mean(dtype=np.float64)) if len(weights) else None}


def _shown(uids: pl.Series) -> str:
    return ", ".join(uids.sort().head(UIDS_SHOWN).to_list())
