"""The report as one HTML file."""

from pathlib import Path

from affect_data.dataset.folder import DatasetFolder
from affect_data.environment import own_version
from affect_data.files import write_text
from affect_data.report.audit_section import audits
from affect_data.report.balance_section import balancing
from affect_data.report.dataset_sections import action_units, coverage, expressions, merged, read_lock, valence_arousal
from affect_data.report.document import document
from affect_data.report.gallery import faces
from affect_data.report.html import Section
from affect_data.report.training_section import training
from affect_data.report.verdicts import verdicts
from affect_data.statistics.statistics import statistics


def report(folder: DatasetFolder, run: Path | None = None, *, with_faces: bool = False) -> str:
    """The report of a dataset, a whole HTML document; the same dataset gives the same bytes.

    Args:
        folder: the dataset.
        run: folder of a training run whose results are shown, too.
        with_faces: whether faces are shown, of databases that allow it.

    Raises:
        NotARunError: the run has no results.
    """
    found, lock = statistics(folder), read_lock(folder)
    sections: list[Section | None] = [
        verdicts(folder, found, lock),
        merged(folder, lock),
        coverage(found),
        expressions(found),
        action_units(found),
        valence_arousal(found),
        balancing(folder),
        audits(folder, with_faces=with_faces),
        training(folder, run) if run is not None else None,
        faces(folder) if with_faces else None,
    ]
    shown = [section for section in sections if section is not None]
    return document(f"Dataset report: {folder.path.resolve().name}", _facts(folder), shown)


def write_report(folder: DatasetFolder, out: Path, run: Path | None = None, *, with_faces: bool = False) -> None:
    """Writes `report` to a file.

    Raises:
        NotARunError: the run has no results.
    """
    text = report(folder, run, with_faces=with_faces)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, text)


def _facts(folder: DatasetFolder) -> str:
    rows = ", ".join(f"{split} {folder.rows(split):,}" for split in folder.splits)
    return f"{rows} rows · fingerprint {folder.fingerprint} · affectkit {own_version()}"
