"""The command ``affect-train predict``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from affect_data.errors import UsageError
from affect_data.progress import log
from affect_train.cli.common import (
    Json,
    PriorName,
    PriorStrength,
    leave_process_group,
    out_console,
    print_json,
    target_prior,
)

if TYPE_CHECKING:
    from affect_train.inference.target_prior import TargetPrior
    from affect_train.predicting.run import Wanted

COMMANDS = ("predict",)

SHOWN: Final = 20
IN_FOLDER: Final = "Into a folder of results"
OF_CROPS: Final = "Of crops, printed"

RunPath = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="A run folder, a model folder, or a model on the Hub (user/name, user/name@revision)."
    ),
]
Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH...",
        help="With --out: photographs, clips, and folders of them. Without: pictures, each the crop of one face.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(help="A new folder: every face is found, and a table is written.", rich_help_panel=IN_FOLDER),
]
Draw = Annotated[
    bool,
    typer.Option(
        "--draw", help="Also annotated pictures and clips, and a time line for each clip.", rich_help_panel=IN_FOLDER
    ),
]
Form = Annotated[
    Literal["openface", "abaw"] | None,
    typer.Option(
        "--format",
        help="openface: also a file of OpenFace 2's columns for each input; abaw: also the challenge's files of each clip.",
        rich_help_panel=IN_FOLDER,
    ),
]
Detector = Annotated[
    str | None, typer.Option(help="The face detector; libfacedetection by default.", rich_help_panel=IN_FOLDER)
]
LeastScore = Annotated[
    float | None,
    typer.Option(
        min=0.0, max=1.0, help="The least score of a face that counts; 0.6 by default.", rich_help_panel=IN_FOLDER
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Detectors that look at once; 1 by default.", rich_help_panel=IN_FOLDER)
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the folder if it exists.", rich_help_panel=IN_FOLDER)
]
Crop = Annotated[
    Literal["as-is"] | None,
    typer.Option(
        help="as-is: take each picture as a crop. By default one is refused that shows no face, several, or a small one.",
        rich_help_panel=OF_CROPS,
    ),
]
InSequence = Annotated[
    bool,
    typer.Option(
        "--sequence",
        help="They are consecutive frames of one face, for a model with a recurrent stage.",
        rich_help_panel=OF_CROPS,
    ),
]

LabelsAs = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="DATABASE",
        help="Label as this database would, of a model with habits (docs/habits.md); by default as the shared network.",
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command(epilog="Example: `affect-train predict runs/teacher photo.jpg clip.mp4 holiday/ --out results --draw`")(
        predict
    )


def predict(
    run: RunPath,
    paths: Paths,
    out: Out = None,
    draw: Draw = False,
    form: Form = None,
    detector: Detector = None,
    least_score: LeastScore = None,
    workers: Workers = None,
    overwrite: Overwrite = False,
    crop: Crop = None,
    sequence: InSequence = False,
    prior: PriorName = None,
    prior_strength: PriorStrength = 1.0,
    labels_as: LabelsAs = None,
    as_json: Json = False,
) -> None:
    """Predict faces: with `--out` all faces of photographs and clips, into a table; without, the crops of single faces, printed."""
    given: dict[str, Any] = {
        "draw": draw or None,
        "openface": form == "openface" or None,
        "abaw": form == "abaw" or None,
        "detector": detector,
        "least_score": least_score,
        "workers": workers,
        "overwrite": overwrite or None,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    target = target_prior(prior, prior_strength)
    if out is None:
        _refuse_without_folder(paths, chosen)
        _print_crops(
            run, paths, sequence=sequence, as_is=crop is not None, target=target, labels_as=labels_as, as_json=as_json
        )
        return
    if crop is not None or sequence:
        raise UsageError(
            "`--crop` and `--sequence` are for crops, which are printed: leave them out, or leave out `--out`"
        )
    from affect_train.predicting.run import Wanted

    _write_folder(run, paths, out, Wanted(**chosen, target=target, labels_as=labels_as), as_json=as_json)


def _refuse_without_folder(paths: Sequence[Path], chosen: dict[str, Any]) -> None:
    """Refuses what only makes sense with a folder of results."""
    from affect_train.predicting.sources import CLIPS

    names = {"openface": "format", "abaw": "format", "least_score": "least-score"}
    if chosen:
        named = ", ".join(f"`--{names.get(name, name)}`" for name in chosen)
        raise UsageError(f"{named}: results are written to a folder; name it by `--out`")
    for path in paths:
        if path.is_dir() or path.suffix.lower() in CLIPS:
            what = "a folder" if path.is_dir() else "a clip"
            raise UsageError(f"'{path}' is {what}: its faces are found and written to a folder; name it by `--out`")


def _write_folder(run: Path, paths: Sequence[Path], out: Path, wanted: "Wanted", *, as_json: bool) -> None:
    from affect_train.predicting.run import predict_faces

    summary = predict_faces(run, paths, out, wanted)
    leave_process_group()
    if as_json:
        print_json(summary)
    else:
        out_console.print(_described(summary), markup=False)
    defects = list(summary["defects"].values())
    if defects:
        shown = "\n  ".join(defects[:SHOWN])
        more = f"\n  and {len(defects) - SHOWN:,} more (files.csv)" if len(defects) > SHOWN else ""
        log.print(
            f"{len(defects):,} of {summary['files']:,} files could not be read to their end; the rest is written:"
            f"\n  {shown}{more}",
            markup=False,
        )
        raise typer.Exit(1)


def _described(summary: dict[str, Any]) -> str:
    read = f"{summary['photographs']:,} photograph(s), {summary['clips']:,} clip(s), {summary['frames']:,} picture(s)"
    found = f"{summary['faces']:,} face(s), {summary['tracks']:,} track(s); {summary['without_face']:,} picture(s) without a face"
    lines = [f"{read} in {summary['seconds']['all']:.1f} s: {found}"]
    for because, count in summary["not_cut_as_trained"].items():
        lines.append(f"{count:,} face(s) were not cut as in training: {because}")
    return "\n".join([*lines, f"results: {summary['out']}"])


def _print_crops(
    run: Path,
    paths: list[Path],
    *,
    sequence: bool,
    as_is: bool,
    target: "TargetPrior | None",
    labels_as: str | None,
    as_json: bool,
) -> None:
    from affect_train.inference.predict import predict as run_predict

    results = run_predict(run, paths, sequence=sequence, as_is=as_is, target=target, labels_as=labels_as)
    leave_process_group()
    if results is None:
        return
    if as_json:
        print_json(results)
    else:
        from affect_train.cli.tables import describe_prediction

        for result in results:
            out_console.print(describe_prediction(result), markup=False)
