"""Stored features laid out in a plane, so that faces which a model takes for alike lie close together."""

import threading
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from affect_data.audit.rows import AuditedDataset, StoredColumn
from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.features import FEATURES
from affect_data.errors import UnknownNameError

FITTED_ROWS: Final = 20_000
"""A plane is fitted to so many rows, spread evenly over the dataset, and then takes all of them."""

ROWS_AT_ONCE: Final = 1 << 16

OUTSIDE: Final = 0.001
"""This share of the rows at each end of an axis lies on the border, so that a few far ones do not press all others together."""

Points = npt.NDArray[np.float32]


class Maps:
    """The maps of a dataset, called ``<features>.<method>``. Each is made when it is first asked for; several threads may ask.

    Args:
        folder: the dataset; None: no map.
    """

    def __init__(self, folder: DatasetFolder | None = None) -> None:
        self._folder = folder
        self._made: dict[str, Points] = {}
        self._lock = threading.Lock()
        stored = () if folder is None else FEATURES.fitting(folder)
        self._features = {f"{name}.{method}": (name, method) for name in stored for method in methods()}
        self.names: Final = tuple(self._features)

    def positions(self, name: str) -> Points:
        """Where every row of the dataset lies on a map, float32 [rows, 2], from 0 to 1; the second number points upward.

        Raises:
            UnknownNameError: there is no such map.
        """
        if name not in self._features or self._folder is None:
            raise UnknownNameError("map", name, self.names)
        features, method = self._features[name]
        with self._lock:
            if name not in self._made:
                stored = AuditedDataset(self._folder).features(features)
                self._made[name] = in_unit_square(methods()[method](stored))
            return self._made[name]


def methods() -> Mapping[str, Callable[[StoredColumn], Points]]:
    """The ways to lay features out that this machine has: ``pca`` always, ``umap`` if the package umap-learn is installed."""
    found = {"pca": principal_plane} | ({"umap": neighbour_plane} if find_spec("umap") else {})
    return MappingProxyType(found)


def principal_plane(features: StoredColumn) -> Points:
    """The two directions in which features differ most, float32 [rows, 2]; the same features give the same plane."""
    fitted = features[_spread(len(features))].astype(np.float64)
    mean = fitted.mean(axis=0)
    _, directions = np.linalg.eigh((fitted - mean).T @ (fitted - mean))
    axes = directions[:, -2:][:, ::-1]
    # A direction and its opposite are equally good.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    found = np.zeros((len(features), 2), np.float32)
    for first in range(0, len(features), ROWS_AT_ONCE):
        found[first : first + ROWS_AT_ONCE, : axes.shape[1]] = (
            features[first : first + ROWS_AT_ONCE] - mean.astype(np.float32)
        ) @ axes.astype(np.float32)
    return found


def neighbour_plane(features: StoredColumn) -> Points:
    """UMAP (McInnes et al. 2018): neighbours in the space of features stay neighbours, float32 [rows, 2]; distances between groups say little."""
    from umap import UMAP

    rows = _spread(len(features))
    # One thread and one seed: the same features give the same map.
    model = UMAP(random_state=0, n_jobs=1, n_neighbors=min(15, max(2, len(rows) - 1)))
    placed = np.asarray(model.fit_transform(features[rows]), np.float32)
    if len(rows) == len(features):
        return placed
    parts = [
        np.asarray(model.transform(features[first : first + ROWS_AT_ONCE]), np.float32)
        for first in range(0, len(features), ROWS_AT_ONCE)
    ]
    return np.concatenate(parts)


def in_unit_square(points: Points) -> Points:
    """Points moved and scaled, alike in both directions, into the square from 0 to 1; those far out lie on its border."""
    if not len(points):
        return points
    low, high = np.quantile(points, (OUTSIDE, 1 - OUTSIDE), axis=0)
    size = float((high - low).max()) or 1.0
    return np.asarray(np.clip((points - (low + high) / 2) / size + 0.5, 0, 1), np.float32)


def _spread(rows: int) -> npt.NDArray[np.int64]:
    return np.linspace(0, rows - 1, min(rows, FITTED_ROWS)).round().astype(np.int64)
