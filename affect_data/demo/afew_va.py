"""Writes AFEW-VA's official layout with demo faces."""

import json
import math
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from affect_data.demo.sampler import DemoFace, FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(tint=(1.06, 1.0, 0.92), brightness=0.9, gradient=0.3)
"""What sets its pictures apart."""

WIDTH, HEIGHT, FACE = 120, 96, 80
CLIPS: Final = 600
CLIPS_OF_PART: Final = 50
FRAMES_OF_CLIP: Final = 16
FEWEST_CLIPS, FEWEST_FRAMES = 4, 3
CLIPS_OF_ACTOR: Final = 2
WITHOUT_ACTOR: Final = 2
"""Position of the clip without an actor's name."""
UNFITTING_LANDMARKS: Final = 3
"""Position of the clip whose landmarks are in a wider frame than its pictures."""
EYES, BROWS, MOUTH = 0.36, 0.38, 0.02


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of their faces: clips of one face each, two clips of every actor.

    Official quirks: whole numbers as decimals, landmarks corrected by hand to whole pixels, a clip without an actor's name, a clip with landmarks
    in a wider frame than its pictures, and a folder that is no clip, as some copies have.
    """
    count = min(max(faces // FRAMES_OF_CLIP, FEWEST_CLIPS), CLIPS)
    actors = sampler.subjects(math.ceil(count / CLIPS_OF_ACTOR), prefix="actor")
    placed: list[PlacedFace] = []
    for position in range(count):
        clip = f"{position * CLIPS // count + 1:03d}"
        folder = Path(f"{(int(clip) - 1) // CLIPS_OF_PART + 1:02d}") / clip
        actor = actors[position // CLIPS_OF_ACTOR]
        video = sampler.video(max((faces + position) // count, FEWEST_FRAMES), actor)
        _write_clip(
            root / folder,
            video,
            actor="" if position == WITHOUT_ACTOR else actor,
            stretch=8.0 if position == UNFITTING_LANDMARKS else 1.0,
        )
        placed += [PlacedFace(f"{folder.as_posix()}/{frame:05d}.png", -1, face) for frame, face in enumerate(video)]
    (root / "01" / "cropped").mkdir()
    video[0].draw(FACE).save(root / "01" / "cropped" / "00000.png")
    return DemoFiles(placed, listed=len(placed), rounding=0.05)


def _write_clip(folder: Path, video: list[DemoFace], *, actor: str, stretch: float) -> None:
    folder.mkdir(parents=True)
    frames = {}
    for number, face in enumerate(video):
        left = round((WIDTH - FACE) * (0.5 + 0.3 * math.sin(number / 5)))
        top = round((HEIGHT - FACE) * (0.5 + 0.3 * math.cos(number / 7)))
        _framed(face.draw(FACE), left, top).save(folder / f"{number:05d}.png")
        points = np.clip(_landmarks(face) + np.array((left, top)), 0, (WIDTH - 1, HEIGHT - 1)) * (stretch, 1.0)
        frames[f"{number:05d}"] = {
            "arousal": float(round(10 * face.arousal)),
            "landmarks": np.round(points, 0 if number % 4 == 0 else 3).tolist(),
            "valence": float(round(10 * face.valence)),
        }
    labels = {"actor": actor, "frames": frames, "video_id": folder.name}
    (folder / f"{folder.name}.json").write_text(json.dumps(labels, indent=4, sort_keys=True), encoding="utf-8")


def _framed(face: Image.Image, left: int, top: int) -> Image.Image:
    """A picture of the official aspect, 5:4, with the face somewhere in it; the outermost pixels of the face continue to the borders."""
    across = np.clip(np.arange(WIDTH) - left, 0, face.width - 1)
    down = np.clip(np.arange(HEIGHT) - top, 0, face.height - 1)
    return Image.fromarray(np.asarray(face)[down][:, across])


def _landmarks(face: DemoFace) -> NDArray[np.float64]:
    """68 points around the parts of a face, in pixels of its picture, in the usual order: jaw, brows, nose, eyes, mouth."""
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    points = [_arc(0, 0.05, 0.78, 0.93, np.linspace(np.pi, 0, 17))]
    points += [_arc(x, -0.38, 0.24, -0.08, np.linspace(np.pi, 0, 5)) for x in (-BROWS, BROWS)]
    points += [
        np.column_stack([np.zeros(4), np.linspace(-0.2, 0.2, 4)]),
        _arc(0, 0.26, 0.16, 0.05, np.linspace(np.pi, 0, 5)),
    ]
    points += [_arc(x, -0.18, 0.15, 0.07, turn[::2] + np.pi) for x in (-EYES, EYES)]
    points += [_arc(0, 0.52 + MOUTH, 0.3, 0.12, turn + np.pi), _arc(0, 0.52 + MOUTH, 0.22, 0.06, turn[::3] + np.pi)]
    points += [_arc(0, 0.52 + MOUTH, 0.12, 0.05, turn[1::3] + np.pi)]
    outline = np.vstack(points)
    angle = math.radians(face.view.rotation)
    axes = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    centre = (0.5 + face.view.shift[0], 0.505 + face.view.shift[1])
    return np.asarray(FACE * (0.395 * face.view.scale * (outline @ axes) + centre))


def _arc(x: float, y: float, width: float, height: float, angles: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([x + width * np.cos(angles), y + height * np.sin(angles)])
