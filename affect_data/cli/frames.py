"""The command ``affect-data frames``: extracts the frames that a database labels from its videos."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affect_data.cli.common import Json, out_console, print_json
from affect_data.cli.roots import FollowLinks, Root
from affect_data.progress import progress_bars
from affect_data.video.extracting import QUALITY

if TYPE_CHECKING:
    from affect_data.databases.extraction import FramesReport


def register(app: typer.Typer) -> None:
    """Adds the command to the app."""
    app.command(epilog="Example: `affect-data frames disfa --root disfa=/data/disfa --workers 8`")(frames)


def frames(
    database: Annotated[str, typer.Argument(metavar="DATABASE", help="A database whose videos hold the pictures.")],
    root: Root = [],  # noqa: B006 - typer copies
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Where the frames go, as a root of its own; else the root."),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes, one video each; else one a core.")] = None,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of the JPEG files.")] = QUALITY,
    release: Annotated[str | None, typer.Option("--release", help="The release, where the root holds several.")] = None,
    follow_links: FollowLinks = False,
    as_json: Json = False,
) -> None:
    """Extract the frames that a database labels from its videos, numbered as its reader reads them; ends with 1 if a video is missing or damaged."""
    from affect_data.build.recipe import root_of
    from affect_data.databases.extraction import extract_frames
    from affect_data.databases.registry import canonical, canonical_release, database_named
    from affect_data.databases.root import DatabaseRoot
    from affect_data.errors import UnknownNameError

    name = canonical(database) or database
    reader = database_named(name)
    known = canonical_release(name, release) if release is not None else None
    if release is not None and known is None:
        raise UnknownNameError("release", release, reader.releases)
    options = reader.Options.model_validate({"release": known})
    with progress_bars() as progress:
        report = extract_frames(
            reader(options),
            DatabaseRoot(root_of(name, root), follow_links=follow_links),
            out,
            workers=workers or os.cpu_count() or 1,
            quality=quality,
            progress=progress,
        )
    if as_json:
        print_json(report.to_json())
    else:
        out_console.print(_described(report), markup=False)
    if not report.is_whole:
        raise typer.Exit(1)


def _described(report: "FramesReport") -> str:
    """The report for people: totals, then every video that is not as it should be."""
    outcomes = [made.outcome for made in report.made]
    counts = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in dict.fromkeys(outcomes))
    lines = [
        f"{report.database}: {report.total('written'):,} frames in {report.root} (JPEG, quality {report.quality})",
        f"videos: {counts or 'none'}",
        f"labels without a frame: {report.total('labels_without_frame'):,}",
        f"frames without a label, not written: {report.total('frames_without_label'):,}",
    ]
    lines += [f"no video of {name}: {count:,} labels" for name, count in report.without_video.items()]
    if report.without_label:
        lines.append(f"videos without labels: {len(report.without_label)}, such as {report.without_label[0]}")
    for made in report.made:
        if made.problem:
            lines.append(f"{made.name}: {made.problem}; {made.labels_without_frame:,} labels have no frame")
        elif made.outcome == "not ours":
            lines.append(f"{made.name}: its folder holds files of another program, and stays as it is")
    return "\n".join(lines)
