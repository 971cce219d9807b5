"""The figures and findings of studies as Markdown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affect_data.bounds import read_json
from affect_data.errors import DataError
from affect_train.study.claims import mean_and_half_width
from affect_train.study.execution import RESULT

PAGE = """# Papers and their claims

Written by `make papers` from the studies that it ran: drawn faces, whose truth is known, on a small network.

Each figure is a mean over seeds; a difference is paired by seed, ± half of its 95 % confidence interval, with the p value of the paired t-test.
A claim *holds* where q, p after control of the false discovery rate over all claims of its study, is at most 0.05; it *points that way* where
nine tenths of the interval are above zero. What the papers report on the licensed databases is in each folder's README.

"""


def papers_page(folders: Sequence[Path]) -> str:
    """One page on all studies as Markdown: paper, claim, figures, command, time.

    Args:
        folders: outputs of studies, each named like its recipe folder.

    Raises:
        DataError: a folder holds no finished study.
    """
    header = (
        "| paper | claim | metric | figure | against | difference | seeds | p | q | verdict |\n|" + "---|" * 10 + "\n"
    )
    rows, commands = [], []
    for folder in folders:
        document = read_result(folder)
        title, previous = document["title"], ""
        for finding in document["findings"]:
            claim = finding["claim"] if finding["claim"] != previous else ""
            previous = finding["claim"]
            rows.append(f"| {title} | {claim} | {_finding_cells(finding)} |")
            title = ""
        commands.append(_command_row(folder, document))
    times = "| study | command | chain of one seed | commit | study file |\n|---|---|---|---|---|\n" + "\n".join(
        commands
    )
    return PAGE + header + "\n".join(rows) + "\n\n" + times + "\n"


def study_page(document: Mapping[str, Any]) -> str:
    """The figures of every score and the findings of one study, as Markdown."""
    metrics = document["metrics"]
    header = "| score | " + " | ".join(metrics) + " |\n|---|" + "---|" * len(metrics)
    rows = []
    for score, seeds in document["figures"].items():
        cells = [_cell([figures[metric] for figures in seeds.values()]) for metric in metrics]
        rows.append(f"| {score} | " + " | ".join(cells) + " |")
    found = ["| claim | metric | figure | against | difference | seeds | p | q | verdict |", "|" + "---|" * 9]
    found += [f"| {finding['claim']} | {_finding_cells(finding)} |" for finding in document["findings"]]
    commit, start = _origin(document)
    return "\n".join([header, *rows, "", *found, "", f"Commit: {commit}. Study file: {start}."])


def read_result(folder: Path) -> dict[str, Any]:
    """The content of a finished study's ``study.json``.

    Raises:
        DataError: the folder holds no finished study.
    """
    try:
        result: dict[str, Any] = read_json(folder / RESULT)
    except (OSError, ValueError):
        raise DataError(f"'{folder}' holds no finished study; run `affect-train study STUDY {folder}`") from None
    return result


def _finding_cells(finding: Mapping[str, Any]) -> str:
    interval = f" ± {finding['half_width']:.3f}" if finding["half_width"] is not None else ""
    return (
        f"{finding['metric']} | {finding['better']:.3f} | {finding['other']:.3f} | "
        f"{finding['difference']:+.3f}{interval} | {finding['seeds']} | {_share(finding.get('p'))} | {_share(finding.get('q'))} | "
        f"{finding['verdict']}"
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _origin(document: Mapping[str, Any]) -> tuple[str, str]:
    """The commits of the figures, and the hash of the study when its first seed started with what has changed since."""
    commits = sorted({commit for seed in document.get("commits", {}).values() for commit in seed})
    start = document.get("study")
    if start is None:
        return ", ".join(commits) or "not recorded", "not recorded"
    changed = f", changed since: {'; '.join(start['changed'])}" if start["changed"] else ""
    return ", ".join(commits) or "not recorded", f"{start['digest'][:12]}{changed}"


def _cell(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    mean, half_width = mean_and_half_width(known)
    return f"{mean:.3f}" if half_width is None else f"{mean:.3f} ± {half_width:.3f}"


def _command_row(folder: Path, document: Mapping[str, Any]) -> str:
    minutes = [sum(steps.values()) / 60 for steps in document["seconds"].values()]
    command = f"affect-train study recipes/{folder.name}/study.yaml runs/papers/{folder.name} --workers 2"
    commit, start = _origin(document)
    return f"| {document['title']} | `{command}` | {sum(minutes) / len(minutes):.1f} min | {commit} | {start} |"
