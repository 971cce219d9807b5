"""Writes SFEW's official layout with demo faces: frames of films in folders of their class."""

from pathlib import Path
from typing import Final

from affect_data.databases.sfew import Sfew
from affect_data.demo.frames import photograph_of
from affect_data.demo.sampler import FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(tint=(0.96, 0.99, 1.05), brightness=0.85, gradient=0.35, turn=0.5, blur=0.005)
"""What sets its pictures apart: dark rooms of films."""

SIZE: Final = 64
FILMS: Final = ("Airheads", "Deja_Vu", "21")
PARTS: Final = ("Train/Train_Aligned_Faces", "Val/Val_Aligned_Faces_new/Val_Aligned_Faces")
VALIDATION_EVERY: Final = 4
FRAMES_OF_CLIP: Final = 2
UNLABELLED: Final = 3


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of their faces.

    Official quirks: the archive of the validation part has a folder within a folder, names of films hold underscores and numbers, and pictures of the
    test part have no label.
    """
    native = {row.unified: row.native for row in Sfew.mapping}
    placed = []
    for part in PARTS:
        for name in native.values():
            (root / part / name).mkdir(parents=True)
    for index in range(faces):
        face = photograph_of(sampler, Sfew.expressions)
        clip, frame = divmod(index, FRAMES_OF_CLIP)
        part = PARTS[clip % VALIDATION_EVERY == 0]
        name = f"{FILMS[clip % len(FILMS)]}_{519_240 + clip * 40:09d}_{frame * 20 + 5:08d}.png"
        image = f"{part}/{native[face.expression]}/{name}"
        face.draw(SIZE).save(root / image)
        placed.append(PlacedFace(image, -1, face))
    test = root / "Test" / "Test_Aligned_Faces"
    test.mkdir(parents=True)
    for index in range(UNLABELLED):
        sampler.photograph().draw(SIZE).save(test / f"{index:08d}.png")
    return DemoFiles(placed, listed=faces)
