"""Features in three groups, and datasets that have them."""

import numpy as np
import pyarrow as pa
from datasets import Features, List, Value

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.features import FEATURES
from affect_data.dataset.writing import add_group

WIDTH = 12


def with_features(folder: DatasetFolder, values: np.ndarray) -> DatasetFolder:
    """The dataset with ``features.net``, a vector for each row."""
    tables, start = [], 0
    for split in folder.splits:
        own = np.ascontiguousarray(values[start : start + folder.rows(split)]).astype(np.float16)
        start += len(own)
        tables.append((split, pa.table({"features.net": pa.FixedSizeListArray.from_arrays(own.reshape(-1), WIDTH)})))
    described = Features({"features.net": List(Value("float16"), length=WIDTH)})
    return add_group(folder, "features.net", tables, described, {"made_from": FEATURES.made_from(folder)})


def three_groups(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Features around three centres, and the group of each row."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, rows)
    return rng.normal(0, 4, (3, WIDTH))[group] + rng.normal(0, 0.3, (rows, WIDTH)), group
