"""Looks at photographs and clips and writes the folder of results: the table of faces, and pictures where they are asked for."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl

from affect_data.errors import DataError, UsageError
from affect_data.faces.detectors.registry import DEFAULT
from affect_data.files import write_json, written_folder
from affect_data.video.decoding import Video
from affect_train.inference.cropping import crop_warning
from affect_train.inference.inference import open_model
from affect_train.inference.target_prior import TargetPrior
from affect_train.predicting.abaw import FOLDER as ABAW
from affect_train.predicting.abaw import submission_columns, write_submission
from affect_train.predicting.columns import FaceColumns
from affect_train.predicting.estimating import estimator_of
from affect_train.predicting.finding import LEAST_SCORE, FaceFinder
from affect_train.predicting.looking import Looked, Looker, Stages
from affect_train.predicting.pictures import draw_results
from affect_train.predicting.progress import PicturesDone
from affect_train.predicting.sources import Source, file_names, sources_of
from affect_train.predicting.writing import OPENFACE, PARQUET, FaceTable, OpenFaceFiles
from affect_train.run_folder import model_folder, weights_digest
from affect_train.runtime import Runtime

FILES: Final = "files.csv"
SUMMARY: Final = "summary.json"

Format = Literal["table", "openface"]


@dataclass(frozen=True)
class Wanted:
    """What is asked for besides the table.

    Attributes:
        draw: annotated pictures, annotated clips, and a time line for each clip.
        openface: a file of OpenFace's columns for each source.
        abaw: files of the ABAW challenges for each clip.
        overwrite: whether a folder of results may be replaced.
        detector: name of the face detector.
        least_score: of a face.
        workers: detectors that look at once.
        target: the prior that the model's logits are moved to; None: they stay as they are.
        labels_as: the database as whose labels the predictions are to be; None: the shared network's own.
    """

    draw: bool = False
    openface: bool = False
    abaw: bool = False
    overwrite: bool = False
    detector: str = DEFAULT
    least_score: float = LEAST_SCORE
    workers: int = 1
    target: TargetPrior | None = None
    labels_as: str | None = None


def predict_faces(run: Path | str, paths: Sequence[Path], out: Path, wanted: Wanted | None = None) -> dict[str, Any]:
    """Predicts every face of photographs and clips, and writes a folder; returns its summary.

    The folder appears when it is whole: a command that is killed leaves no table that passes for one. A file that cannot be decoded is named in the
    summary, and the others are written.

    Args:
        run: run folder, model folder, or a model on the Hub.
        paths: photographs, clips, and folders of them.
        out: the folder of results.
        wanted: what else is asked for.

    Raises:
        UsageError: the folder of results exists, or holds what is read; or several processes were started.
        NotAModelError: there is no model.
        DataError: a path is missing, a folder has no picture, or the detector is not installed.
    """
    began, wanted = time.perf_counter(), wanted or Wanted()
    sources = sources_of(paths, out)
    if out.exists() and not wanted.overwrite:
        raise UsageError(f"'{out}' exists already; name a new folder, or replace it by `--overwrite`")
    finder = FaceFinder(wanted.detector, wanted.least_score, wanted.workers)
    folder = model_folder(run)
    model, preprocessing = open_model(folder, wanted.target, wanted.labels_as)
    runtime, stages = Runtime.start(), Stages()
    if runtime.accelerator.num_processes > 1:
        raise UsageError("faces are looked for in one process: start `predict --out` without `accelerate launch`")
    if warning := crop_warning(preprocessing):
        runtime.reporter.say(f"warning: {warning}")
    estimator, columns = estimator_of(model.to(runtime.accelerator.device).eval()), FaceColumns(model.config)
    if wanted.abaw:
        submission_columns(columns)
    pairs = [(source, Looked("clip" if source.is_clip else "photograph")) for source in sources]
    with written_folder(out) as partial:
        with runtime.reporter.estimated_bar("pictures") as show:
            done = PicturesDone({source.name: _pictures_in(source) for source in sources}, show)
            looker = Looker(finder, estimator, preprocessing, stages, done)
            _tables(looker, pairs, partial, columns, stages, openface=wanted.openface)
        without = _submission(partial, pairs, columns) if wanted.abaw else []
        if wanted.draw:
            with stages.timed("draw"):
                draw_results(partial, pairs, columns, runtime.reporter)
        made = {"source": _named(run), "weights": weights_digest(folder), "preprocessing": preprocessing.to_dict()}
        if wanted.target is not None:
            made["target_prior"] = wanted.target.described
        if wanted.labels_as is not None:
            made["labels_as"] = wanted.labels_as
        summary = {"model": made, "detector": _described(finder), **_counted(pairs)}
        summary |= {"columns": {name: meaning for name, (_, meaning) in columns.described().items()}}
        summary |= {"clips_without_submission": without} if wanted.abaw else {}
        summary |= {"seconds": {"all": round(time.perf_counter() - began, 3), **_rounded(stages)}}
        _write_files(partial / FILES, pairs)
        write_json(partial / SUMMARY, summary)
    return {"out": str(out), **summary}


def _tables(
    looker: Looker,
    sources: Sequence[tuple[Source, Looked]],
    folder: Path,
    columns: FaceColumns,
    stages: Stages,
    *,
    openface: bool,
) -> None:
    """Looks at all sources and writes their tables."""
    names = file_names(source for source, _ in sources)
    with FaceTable(folder, columns) as table, OpenFaceFiles(folder / OPENFACE, names, columns) as others:
        for seen, predicted in looker.look(sources):
            with stages.timed("write"):
                row = columns.row(seen, predicted)
                table.add(row)
                if openface:
                    others.add(row, seen)
        if openface:
            others.add_rest()


def _submission(folder: Path, pairs: Sequence[tuple[Source, Looked]], columns: FaceColumns) -> list[str]:
    """Writes the files of the challenges; returns the clips without a face."""
    names = file_names(source for source, _ in pairs)
    clips = {source.name: (names[source.name], looked.frames) for source, looked in pairs if source.is_clip}
    return write_submission(folder / ABAW, clips, pl.scan_parquet(folder / PARQUET), columns)


def _named(run: Path | str) -> str:
    """What a model was called, without the folders before it if it was named from the root."""
    return Path(run).name if Path(run).is_absolute() else str(run)


def _pictures_in(source: Source) -> int:
    """About how many pictures there are to look at, for the time that is left; 0 of a clip that does not say."""
    if not source.is_clip:
        return 1
    try:
        with Video(source.path) as video:
            return video.expected
    except DataError:
        # It has no picture, and is reported when it is looked at.
        return 1


def _described(finder: FaceFinder) -> dict[str, Any]:
    detector = finder.detector
    return {
        "name": detector.name,
        "version": detector.version,
        "weights": detector.weights_digest,
        "least_score": finder.least_score,
    }


def _counted(pairs: Sequence[tuple[Source, Looked]]) -> dict[str, Any]:
    looked = [one for _, one in pairs]
    not_cut = sum((one.not_cut for one in looked), Counter[str]())
    return {
        "files": len(pairs),
        "photographs": sum(not source.is_clip for source, _ in pairs),
        "clips": sum(source.is_clip for source, _ in pairs),
        "frames": sum(one.frames for one in looked),
        "faces": sum(one.faces for one in looked),
        "tracks": sum(one.tracks for one in looked),
        "without_face": sum(one.without_face for one in looked),
        "not_cut_as_trained": dict(not_cut),
        "defects": {source.name: one.defect for source, one in pairs if one.defect},
    }


def _write_files(path: Path, pairs: Sequence[tuple[Source, Looked]]) -> None:
    """One line for each source: what was seen of it."""
    lines = [{"file": source.name, **vars(one), "not_cut": one.not_cut.total()} for source, one in pairs]
    pl.DataFrame(lines).write_csv(path)


def _rounded(stages: Stages) -> dict[str, float]:
    return {name: round(seconds, 3) for name, seconds in stages.seconds.items()}
