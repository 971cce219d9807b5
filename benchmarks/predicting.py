"""Times `affect-train predict` on a clip of drawn people, stage by stage, and shows that its memory does not grow with the clip.

    python benchmarks/predicting.py RUN                           # 20 s of 640 x 360
    python benchmarks/predicting.py RUN --seconds 1200 --rate 10 --size 160x120   # 20 minutes: memory every tenth of the way
    python benchmarks/predicting.py --pictures FOLDER             # only writes the clip and a photograph, to look at

RUN is a run or model folder; without one, a small network with random weights stands in for it. Seconds are wall clock; decoding and finding run
beside the stages after them, so that the stages add up to more than the whole. The memory is that of the command's process, without its detector's.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

import av  # noqa: E402
import numpy as np  # noqa: E402
from faces import processor_seconds  # noqa: E402
from PIL import Image, ImageDraw  # noqa: E402

from affect_data.demo.sampler import FaceSampler  # noqa: E402
from affect_train.inputs.preprocess import Preprocessing  # noqa: E402
from affect_train.network.model import AffectModel  # noqa: E402
from affect_train.predicting.run import Wanted, predict_faces  # noqa: E402
from affect_train.recipe.model import ModelOptions  # noqa: E402
from affect_train.tasks import TaskSet  # noqa: E402

WALL = (126, 138, 142)
PERIOD = 240
"""After so many frames the people are back where they began."""

SMALL_VIT = {
    "model_type": "vit", "hidden_size": 192, "num_hidden_layers": 6, "num_attention_heads": 3, "intermediate_size": 768, "patch_size": 16,
}  # fmt: skip


def scene(size: tuple[int, int], frames: int, seed: int) -> list[np.ndarray]:
    """Two people who walk past each other and back."""
    sampler, side = FaceSampler(seed), size[1] * 2 // 5
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).ellipse((side * 0.08, 0, side * 0.92, side), fill=255)
    people = [[face.draw(side) for face in sampler.video(frames)] for _ in range(2)]
    drawn = []
    for number in range(frames):
        picture = Image.new("RGB", size, WALL)
        along = 0.5 - 0.5 * np.cos(2 * np.pi * number / frames)
        for person, (place, height) in enumerate(((along, 0.3), (1 - along, 0.36))):
            left, top = round(place * (size[0] - side)), round(height * size[1])
            picture.paste(people[person][number], (left, top), mask)
        drawn.append(np.asarray(picture))
    return drawn


def write_clip(path: Path, frames: Iterator[np.ndarray], size: tuple[int, int], rate: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate), options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))


def stand_in(folder: Path) -> Path:
    preprocessing = Preprocessing(112)
    tasks = TaskSet((1, 2, 4, 6, 12, 15, 25, 26), ("neutral", "anger", "happiness", "sadness", "surprise"), 20)
    options = ModelOptions(backbone=SMALL_VIT, image_size=112)
    AffectModel.build(tasks, options, preprocessing.to_dict(), preprocessing.digest()).save_pretrained(folder)
    return folder


class Memory:
    """Notes the resident memory of this process, in MB, every quarter of a second."""

    def __init__(self) -> None:
        self.seen: list[float] = []
        self._going = True
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while self._going:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.seen.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
            time.sleep(0.25)

    def tenths(self) -> list[int]:
        """The largest of each tenth of the time so far; ends the watching."""
        self._going = False
        self._thread.join()
        return [round(float(np.max(part))) for part in np.array_split(self.seen, 10) if len(part)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", help="a run or model folder")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=int, default=25, help="frames a second")
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--draw", action="store_true")
    parser.add_argument("--pictures", type=Path, help="write the clip and a photograph to this folder, and end")
    parser.add_argument("--smoke", action="store_true", help="a second of video")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    count = options.rate if options.smoke else round(options.seconds * options.rate)
    drawn = scene((width, height), min(count, PERIOD), seed=5)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.pictures or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        write_clip(
            folder / "clip.mp4", (drawn[number % len(drawn)] for number in range(count)), (width, height), options.rate
        )
        Image.fromarray(drawn[len(drawn) // 8]).save(folder / "photo.jpg", quality=95)
        if options.pictures:
            return
        model = options.run or stand_in(Path(scratch) / "model")
        wanted, memory = Wanted(draw=options.draw, workers=options.workers), Memory()
        began, used = time.perf_counter(), processor_seconds()
        summary = predict_faces(model, [folder / "clip.mp4"], Path(scratch) / "results", wanted)
        seconds, used = time.perf_counter() - began, processor_seconds() - used
    report = {
        "frames": summary["frames"],
        "faces": summary["faces"],
        "tracks": summary["tracks"],
        "seconds of video": count / options.rate,
        "frames a second": round(summary["frames"] / seconds, 1),
        "processor ms a frame": round(1000 * used / summary["frames"], 1),
        "seconds": summary["seconds"],
        "MB in each tenth": memory.tenths(),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
