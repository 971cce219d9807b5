"""The page of a dataset: for looking, of the demo's; for deciding, of a copy."""

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from reviewing import dataset, decide, write

from affect_data.audit.base import FINDINGS
from affect_data.audit.run import write_audit
from affect_data.build.build import BuildReport
from affect_data.corrections.decisions import DecisionFile
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.thumbnail_cache import CACHE
from affect_data.viewing.desk import Desk
from affect_data.viewing.table import LabelTable, label_table

__all__ = ["dataset", "decide", "write"]

MakeDesk = Callable[..., Desk]


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv(CACHE, str(folder))
        yield folder


def findings_of(dataset: DatasetFolder, count: int = 6) -> pl.DataFrame:
    """Two findings about each of the first rows; the fourth has an error, the others are to be reviewed."""
    uids = dataset.labels("train")["uid"].head(count).to_list()
    evidence = '{"task": "valence", "label": 0.5, "predicted": -0.25, "by": "linear model, out of fold"}'
    about = '"copies": 6, "level": "pixels", "databases": ["afew_va"], "splits": ["train"], "conflict": []'
    group = f'{{"group": "{uids[0]}", {about}}}'
    rows = [
        {"uid": uid, "split": "train", "check": check, "severity": severity, "score": score, "evidence": found}
        for i, uid in enumerate(uids)
        for check, severity, score, found in (
            ("label_errors", "review", 0.1 * i, evidence),
            ("duplicates", "error" if i == 3 else "review", 0.05, group),
        )
    ]
    return pl.DataFrame(rows, schema=FINDINGS)


@pytest.fixture
def audited(dataset: DatasetFolder) -> DatasetFolder:
    """A dataset for writing, with `findings_of` it."""
    write_audit(dataset, findings_of(dataset))
    return open_dataset(dataset.path)


@pytest.fixture(scope="module")
def looked_at(demo_report: BuildReport) -> DatasetFolder:
    """The demo's dataset, for reading."""
    return open_dataset(demo_report.dataset.path)


@pytest.fixture(scope="module")
def table(looked_at: DatasetFolder) -> LabelTable:
    return label_table(looked_at)


@pytest.fixture
def make_desk(tmp_path: Path) -> MakeDesk:
    """A function that opens a dataset to decide about it."""

    def make(folder: DatasetFolder, who: str = "ada", file: str = "d.jsonl") -> Desk:
        return Desk(folder, label_table(folder), DecisionFile(tmp_path / file), who)

    return make


@pytest.fixture
def desk(audited: DatasetFolder, make_desk: MakeDesk) -> Desk:
    return make_desk(audited)
