"""Faces of FER+ as stored features and votes, without copies; or drawn ones, for tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affect_data.audit.base import AuditedDataset
from affect_data.dataset.folder import open_dataset
from affect_data.errors import AffectError, UsageError
from affect_data.vocabulary import EXPRESSIONS

CLASSES: Final = EXPRESSIONS[:8]
"""The eight expressions that the annotators of FER+ vote on."""

LEAST_SHARE: Final = 0.5
"""Of the votes that must be for one of the eight expressions; the others say "unknown" or "not a face"."""

REMEDY: Final = """\
The twin takes FER+ as a built dataset with stored features of a frozen backbone:
  unzip -q ../shared/real/ferplus.zip -d FERPLUS        # or the official folders
  affect-data build recipes/ferplus/data.yaml runs/ferplus/data --root ferplus=FERPLUS --accept-incomplete
  affect-train features BACKBONE runs/ferplus/data --name dinov2 --image-size 98 --margin 0
  python recipes/real_twin runs/ferplus/data --out runs/real_twin"""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Faces:
    """N faces.

    Attributes:
        features: float32 [N, D], principal components of the stored features.
        votes: float32 [N, 8], the annotators' shares over `CLASSES`; each row sums to 1.
        test: bool [N], the faces of the validation part, which nothing learns from.
        account: how many rows there were and why some are left out.
    """

    features: Floats
    votes: Floats
    test: NDArray[np.bool_]
    account: Mapping[str, int]

    @classmethod
    def read(cls, dataset: Path, name: str, width: int) -> "Faces":
        """The faces of a dataset folder.

        Args:
            dataset: FER+, built by `recipes/ferplus/data.yaml`.
            name: of its stored features.
            width: how many principal components are kept.

        Raises:
            UsageError: there is no such dataset, or it has no such features or no votes.
        """
        try:
            audited = AuditedDataset(open_dataset(dataset))
        except AffectError as error:
            raise UsageError(f"{error}\n{REMEDY}") from error
        if name not in audited.feature_names():
            raise UsageError(f"'{dataset}' has no stored features {name!r}\n{REMEDY}")
        try:
            votes = _votes(audited)
        except KeyError as error:
            raise UsageError(f"'{dataset}' has no votes of annotators: it is not FER+\n{REMEDY}") from error
        test = audited.labels["split"].to_numpy() == "validation"
        decided = votes.sum(axis=1) >= LEAST_SHARE
        kept = _first_of_copies(audited.copies.of_row, test, decided)
        account = {"rows": len(test), "undecided": int((~decided).sum()), "copies": int((decided & ~kept).sum())}
        features = principal_components(audited.features(name)[kept], ~test[kept], width)
        shares = votes[kept] / votes[kept].sum(axis=1, keepdims=True)
        return cls(features, shares.astype(np.float32), test[kept], account | {"faces": int(kept.sum())})

    @classmethod
    def drawn(cls, count: int, width: int, seed: int, test_share: float = 0.3) -> "Faces":
        """Faces whose features are noise around a centre for each expression, and whose ten votes are drawn from how near each centre is."""
        random = np.random.default_rng(seed)
        centres = random.normal(size=(len(CLASSES), width))
        shown = random.choice(len(CLASSES), size=count, p=[0.3, 0.1, 0.06, 0.08, 0.22, 0.1, 0.1, 0.04])
        features = centres[shown] + 1.2 * random.normal(size=(count, width))
        distance = ((features[:, None] - centres) ** 2).sum(axis=2)
        likely = np.exp(-(distance - distance.min(axis=1, keepdims=True)) / 4)
        votes = random.multinomial(10, likely / likely.sum(axis=1, keepdims=True)) / 10
        test = np.arange(count) < test_share * count
        return cls(features.astype(np.float32), votes.astype(np.float32), test, {"faces": count})

    def save(self, path: Path, made_from: str) -> None:
        """Writes an ``npz`` file that `load` gives back for the same origin."""
        counts = {f"account_{name}": np.array(count) for name, count in self.account.items()}
        arrays = {"features": self.features, "votes": self.votes, "test": self.test, **counts}
        np.savez(path, made_from=np.array(made_from), **arrays)  # type: ignore[arg-type, unused-ignore]

    @classmethod
    def load(cls, path: Path, made_from: str) -> "Faces | None":
        """What `save` wrote; None if there is nothing, or it came from something else."""
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as arrays:
            if str(arrays["made_from"]) != made_from:
                return None
            account = {key.removeprefix("account_"): int(arrays[key]) for key in arrays.files if key.startswith("acc")}
            return cls(arrays["features"], arrays["votes"], arrays["test"], account)


def principal_components(features: Floats, fitted_on: NDArray[np.bool_], width: int) -> Floats:
    """The first principal components of standardised features, float32 [N, width], together with unit mean variance.

    Args:
        features: float32 [N, D].
        fitted_on: bool [N], the rows that means, deviations and directions are taken from.
        width: how many; at most D.
    """
    known = features[fitted_on].astype(np.float64)
    mean, deviation = known.mean(axis=0), known.std(axis=0) + 1e-6
    standard = (features - mean) / deviation
    _, directions = np.linalg.eigh(np.cov(standard[fitted_on], rowvar=False))
    projected = standard @ directions[:, ::-1][:, :width]
    return (projected / projected[fitted_on].std()).astype(np.float32)


def _votes(audited: AuditedDataset) -> NDArray[np.float64]:
    """The shares of votes for the eight expressions, float64 [rows, 8]."""
    parts = []
    for split in audited.folder.splits:
        table: Any = audited.folder.load(split, ["votes"]).data.table
        frame = pl.DataFrame({"votes": pl.from_arrow(table.column("expression_votes"))})
        parts.append(
            frame["votes"].to_numpy() if frame.schema["votes"] != pl.Struct else frame.unnest("votes").to_numpy()
        )
    return np.concatenate(parts)[:, : len(CLASSES)].astype(np.float64)


def _first_of_copies(
    of_row: NDArray[np.int64], test: NDArray[np.bool_], decided: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """One decided face of every group of copies, bool [rows]: one of the validation part where the group has any."""
    order = np.lexsort((np.arange(len(of_row)), ~test, ~decided, of_row))
    first = np.ones(len(of_row), dtype=bool)
    first[1:] = of_row[order][1:] != of_row[order][:-1]
    kept = np.zeros(len(of_row), dtype=bool)
    kept[order[first]] = True
    return kept & decided
