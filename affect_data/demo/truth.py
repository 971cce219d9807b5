"""The whole truth about demo faces, of which their databases say only a part."""

from dataclasses import dataclass

from affect_data.demo.sampler import DemoFace


@dataclass(frozen=True)
class PlacedFace:
    """A demo face and its place in a database.

    Attributes:
        image: path of the picture relative to the database root, as the reader gives it.
        face: number of the face in the picture, as the reader gives it; -1 if pictures have one face.
        truth: the drawn face.
    """

    image: str
    face: int
    truth: DemoFace


@dataclass(frozen=True)
class DemoFiles:
    """What a generator has written.

    Attributes:
        faces: the faces that have a picture and a label.
        listed: how many faces the annotation files list, also without a picture or label: each becomes a row or a failure of the reader.
        rounding: how far valence and arousal in the files may be from the truth: half of the last digit in the files.
    """

    faces: list[PlacedFace]
    listed: int
    rounding: float = 1e-5
