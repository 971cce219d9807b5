"""The whole truth of a demo face, beside the little that its database says."""

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
