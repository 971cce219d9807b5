"""The whole truth of demo faces, beside the little that their database says."""

from dataclasses import dataclass

from affect_data.demo.sampler import DemoFace


@dataclass(frozen=True)
class PlacedFace:
    """A demo face and where a database holds it.

    Attributes:
        image: path of the picture relative to the database root, as the reader names it.
        face: which face of the picture, as the reader numbers it; -1 where pictures hold one face.
        truth: the face that was drawn there.
    """

    image: str
    face: int
    truth: DemoFace


@dataclass(frozen=True)
class DemoFiles:
    """What a generator has written.

    Attributes:
        faces: those that have a picture and a label.
        listed: how many faces the annotation files list, those without a picture or label too: a reader makes a row or a failure of each.
        rounding: how far valence and arousal in the files may be from the truth, half of the last digit that the format writes.
    """

    faces: list[PlacedFace]
    listed: int
    rounding: float = 1e-5
