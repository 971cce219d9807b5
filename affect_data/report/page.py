"""The report as one HTML file."""

from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from affect_data.dataset.folder import DatasetFolder
from affect_data.files import write_text
from affect_data.report.audit_section import audits
from affect_data.report.balance_section import balancing
from affect_data.report.charts import dark_rules
from affect_data.report.dataset_sections import action_units, coverage, expressions, merged, read_lock, valence_arousal
from affect_data.report.gallery import faces
from affect_data.report.html import Section, escape
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
    return _document(folder, [section for section in sections if section is not None])


def write_report(folder: DatasetFolder, out: Path, run: Path | None = None, *, with_faces: bool = False) -> None:
    """Writes `report` to a file.

    Raises:
        NotARunError: the run has no results.
    """
    text = report(folder, run, with_faces=with_faces)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, text)


def _document(folder: DatasetFolder, sections: list[Section]) -> str:
    name = escape(folder.path.resolve().name)
    style = (files("affect_data.report") / "report.css").read_text(encoding="utf-8")
    links = "".join(f'<li><a href="#{escape(section.anchor)}">{escape(section.title)}</a></li>' for section in sections)
    rows = ", ".join(f"{split} {folder.rows(split):,}" for split in folder.splits)
    facts = f"{rows} rows · fingerprint {folder.fingerprint} · affectkit {version('affectkit')}"
    body = "\n".join(section.to_html(number) for number, section in enumerate(sections, start=1))
    # The page loads and runs nothing; this policy makes the browser enforce it.
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>Dataset report: {name}</title>\n'
        f"<style>\n{style}{dark_rules()}</style>\n</head>\n<body>\n<header>\n<h1>Dataset report: {name}</h1>\n<p>{escape(facts)}</p>\n</header>\n"
        f'<nav aria-label="Contents"><ol>{links}</ol></nav>\n<main>\n{body}</main>\n</body>\n</html>\n'
    )
