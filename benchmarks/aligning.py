"""The speed of ``affect-data align`` beside face-alignment called picture by picture; `benchmarks/faces.py --align` runs it.

Both sides run the same detector (face-alignment with dlib on the CPU) and the same network of landmarks, 2DFAN. Its weights
are random here, and take as long as the real ones. The loop is what a script does: one picture after the other, every face in
it, one object made before. `affect-data align` has its own start, and that of its processes, in its time. The pictures are
drawn: portraits with one face each, and photographs of three people of whom one has a label.
"""

import os
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from affect_data.aligning import faces
from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.databases.totals import DRAWN_MARKER
from affect_data.dataset.folder import open_dataset
from affect_data.demo.sampler import FaceSampler
from affect_data.faces.detection import FaceDetector
from affect_data.faces.detectors.face_alignment import LANDMARK_WEIGHTS, AlignedDlib, checkpoints
from affect_data.faces.detectors.libfacedetection import LibFaceDetection

SIDE = 160
FILES = 4
"""Files of the column group: so many pieces of work are shared by the processes."""


def measured(pictures: int, workers: int, *, landmarks: bool) -> dict[str, object]:
    """Seconds a labelled face of the loop and of `align`, by kind of picture."""
    report: dict[str, object] = {"pictures": pictures, "workers": workers, "load": round(os.getloadavg()[0], 1)}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCH_HOME"] = str(Path(folder) / "torch")
        aligner = with_random_weights() if landmarks else None
        for name, people in (("portraits", 1), ("photographs of three", 3)):
            files, dataset = written(Path(folder) / name, pictures, people)
            report[name] = compared(files, dataset, aligner, workers)
    return report


def compared(files: list[Path], dataset: Path, aligner: object | None, workers: int) -> dict[str, object]:
    works: dict[str, Callable[[], None]] = {}
    if aligner is not None:
        works["loop, face-alignment.dlib"] = partial(looped, aligner, files)
        works["align, face-alignment.dlib"] = partial(aligned, dataset, AlignedDlib, workers)
    works["align, libfacedetection"] = partial(aligned, dataset, LibFaceDetection, workers)
    return {name: timed(work, len(files)) for name, work in works.items()}


def with_random_weights() -> object:
    import torch
    from face_alignment import FaceAlignment, LandmarksType
    from face_alignment.models import FAN

    checkpoints().mkdir(parents=True)
    torch.save(FAN(4).state_dict(), checkpoints() / LANDMARK_WEIGHTS[0])
    warnings.simplefilter("ignore")  # It calls its dlib deprecated, and tells of every picture without a face.
    return FaceAlignment(LandmarksType.TWO_D, device="cpu", face_detector="dlib", compile=False)


def written(folder: Path, count: int, people: int) -> tuple[list[Path], Path]:
    """Picture files, and a dataset of them whose every row names the middle one's box."""
    root = folder / "expw"
    (root / "image" / "origin").mkdir(parents=True)
    (root / "label").mkdir()
    files, lines = [], []
    for number in range(count):
        picture = Image.new("RGB", (people * SIDE, SIDE), (120, 130, 140))
        for person in range(people):
            picture.paste(FaceSampler(people * number + person).photograph().draw(SIDE), (person * SIDE, 0))
        left = people // 2 * SIDE
        files.append(root / "image" / "origin" / f"p{number:04d}.jpg")
        picture.save(files[-1], quality=92)
        lines.append(f"{files[-1].name} 0 0 {left} {left + SIDE} {SIDE} 20.5 3\n")
    (root / "label" / "label.lst").write_text("".join(lines))
    (root / DRAWN_MARKER).write_text("Drawn faces; nobody's.\n")
    recipe = recipe_from({"databases": {"expw": {}}, "workers": 1}, "expw.yaml")
    build(recipe, {"expw": root}, folder / "merged")
    return files, folder / "merged"


def looped(aligner: object, files: list[Path]) -> None:
    for file in files:
        aligner.get_landmarks_from_image(np.asarray(Image.open(file).convert("RGB")))  # type: ignore[attr-defined]


def aligned(dataset: Path, detector: type[FaceDetector], workers: int) -> None:
    faces.FEWEST_ROWS = max(1, len(open_dataset(dataset).labels("train", ("uid",))) // FILES)  # type: ignore[misc]
    report = faces.align(dataset, detector, workers=workers)
    assert report.kept == 0


def timed(work: Callable[[], None], rows: int) -> dict[str, float]:
    start, before = time.perf_counter(), processor_seconds()
    work()
    wall, processor = time.perf_counter() - start, processor_seconds() - before
    return {
        "faces_a_second": round(rows / wall, 2),
        "wall_seconds": round(wall, 2),
        "processor_ms_a_face": round(1000 * processor / rows, 1),
    }


def processor_seconds() -> float:
    """Processor time of this process and of all that it started and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
