"""The command ``affect-data align``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affect_data.cli.common import Json, out_console, print_json
from affect_data.errors import UsageError
from affect_data.progress import progress_bars

if TYPE_CHECKING:
    from affect_data.aligning.crops import CropReport
    from affect_data.aligning.report import AlignReport


def register(app: typer.Typer) -> None:
    """Adds the command to an application."""
    app.command(epilog="Example: `affect-data align merged` or `affect-data align merged --detector dlib --second`")(
        align
    )


def align(
    dataset: Annotated[Path | None, typer.Argument(metavar="DATASET", help="A dataset folder.")] = None,
    detector: Annotated[
        str, typer.Option(metavar="NAME", help="What finds the faces; --list lists them.")
    ] = "libfacedetection",
    second: Annotated[
        bool,
        typer.Option("--second", help="Keep them beside the dataset's faces, for the audit face_agreement."),
    ] = False,
    crops: Annotated[
        list[str],
        typer.Option(
            "--crops",
            metavar="POLICY",
            help="Also store the faces cut out by a policy (docs/faces.md); may be repeated.",
        ),
    ] = [],  # noqa: B006 - typer copies
    workers: Annotated[int, typer.Option(min=1, help="Processes that look for faces and cut.")] = 1,
    list_: Annotated[bool, typer.Option("--list", help="List the detectors, and what each lacks here.")] = False,
    as_json: Json = False,
) -> None:
    """Find the face of every row: box, points, landmarks and pose as a column group; goes on where it was stopped."""
    from affect_data.aligning.crops import stored_policies, write_crops
    from affect_data.aligning.faces import align as run_align
    from affect_data.faces.detectors.registry import detector_named

    if list_:
        _list_detectors(as_json)
        return
    if dataset is None:
        raise UsageError("affect-data align needs the folder of a DATASET, or --list")
    if second and crops:
        raise UsageError("--crops are cut by the dataset's own faces; leave out --second, or store these crops first")
    found = detector_named(detector)
    stored_policies(crops)
    with progress_bars() as progress:
        report = run_align(dataset, found, second=second, workers=workers, progress=progress)
        cut = write_crops(dataset, crops, workers, progress) if crops else []
    if as_json:
        print_json(
            {**report.to_json(), "crops": [one.to_json() for one in cut], "crops_of_other_faces": _others(dataset)}
        )
        return
    out_console.print("\n".join([described(report), *map(_cut, cut)]), markup=False)
    if others := _others(dataset):
        again = " ".join(f"--crops {name}" for name in others)
        out_console.print(
            f"crops that were cut by other faces and stay until they are cut again: {', '.join(others)} (`{again}`)",
            markup=False,
        )


def described(report: "AlignReport") -> str:
    """The report as text for people: a line for each database, and what the numbers do not say."""
    from affect_data.cli.tables import table

    header = ("database", "rows", "found", "by own box", "largest", "not found", "own box fits none", "competitors")
    rows = [
        (name, c.rows, c.found, c.matched, c.without_box, c.not_found, c.unmatched, c.competitors)
        for name, c in [*report.databases.items(), *([("all", report.total)] if len(report.databases) > 1 else [])]
    ]
    total, origin = report.total, report.provenance
    notes = [f"{report.group} by {origin.detector} ({origin.version})"]
    if report.kept:
        notes.append(f"{report.kept:,} rows were there already")
    if total.clips:
        notes.append(f"of {total.clips:,} clips, the face is that of the middle frame")
    if total.undecodable:
        notes.append(f"{total.undecodable:,} rows have a picture that could not be decoded")
    if total.competed:
        notes.append(f"{total.competed:,} rows had competitors: other faces that could have been theirs")
    return "\n".join([table(header, rows), "", *notes])


def _others(dataset: Path) -> list[str]:
    """The policies whose crops were cut by other faces than the dataset has now."""
    from affect_data.aligning.crops import crops_of_other_faces
    from affect_data.dataset.folder import open_dataset

    return list(crops_of_other_faces(open_dataset(dataset)))


def _cut(report: "CropReport") -> str:
    """One line on the crops of a policy."""
    counts = report.databases.values()
    rows, cropped = sum(c.rows for c in counts), sum(c.cropped for c in counts)
    kept = f"; {report.kept:,} rows were there already" if report.kept else ""
    return f"{report.group}: {cropped:,} of {rows:,} rows are crops of found faces{kept}"


def _list_detectors(as_json: bool) -> None:
    from affect_data.cli.tables import table
    from affect_data.faces.detectors.registry import DETECTORS

    known = [{"name": name, "missing": detector.missing()} for name, detector in DETECTORS.items()]
    if as_json:
        print_json(known)
    else:
        rows = [(entry["name"], entry["missing"] or "can run") for entry in known]
        out_console.print(table(("detector", "here"), rows), markup=False)
