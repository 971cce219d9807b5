"""Whether a picture is the crop of one face, like the pictures of training: judged by a face detector, or without one by its shape."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from affect_data.audit.checks.face_count import FOUND_FROM, LARGE, LEAST_SIDE, SIDE, suspicion_of
from affect_data.errors import DataError
from affect_data.faces.detection import DetectedFace, FaceDetector, Pixels
from affect_data.faces.detectors.libfacedetection import LibFaceDetection
from affect_data.faces.orientation import AS_STORED, orientation_of, upright
from affect_data.pictures import PictureError, decode_rgb
from affect_train.inputs.files import picture_bytes
from affect_train.reporting import Reporter

SMALL: Final = 0.5
"""A face is too small if it fills less than this share of what a face filled in training."""

WIDEST: Final = 1.25
"""Greatest width by height: heads are taller than wide."""

TALLEST: Final = 1.6
"""Greatest height by width."""

LONGEST: Final = 960
"""The longer side, in pixels, of the picture that a detector is given."""

SHOWN: Final = 20
WHOLE: Final = np.full(4, np.nan, np.float32)


def check_crops(paths: Sequence[Path], margin: float, reporter: Reporter) -> None:
    """Refuses pictures that are visibly not the crop of one face.

    Args:
        paths: picture files.
        margin: around the face in the crops of training, as `Preprocessing.margin`.
        reporter: is told if there is no face detector.

    Raises:
        DataError: names every picture that is no such crop, and why; or a picture is missing or cannot be decoded.
    """
    missing = LibFaceDetection.missing()
    detector = None if missing else LibFaceDetection()
    if missing:
        reporter.say(f"no face is looked for, pictures are judged by their shape and orientation alone: {missing}")
    refused = []
    for path in paths:
        because = _objection(path, margin, detector)
        if because:
            refused.append(f"image '{path}': {because}")
    if refused:
        listed = "\n  ".join(refused[:SHOWN]) + (
            f"\n  and {len(refused) - SHOWN:,} more" if len(refused) > SHOWN else ""
        )
        raise DataError(
            f"predict takes crops of one face each, and these are none:\n  {listed}\n"
            "Crop the face, or have faces found in it by `--out FOLDER`, or say that a picture is to be taken as it is by `--crop as-is`"
        )


def _objection(path: Path, margin: float, detector: FaceDetector | None) -> str:
    data = picture_bytes(path)
    try:
        orientation = orientation_of(data)
        pixels = np.ascontiguousarray(upright(np.asarray(decode_rgb(data)), orientation))
    except PictureError as error:
        raise DataError(f"image '{path}': the image cannot be decoded: {error}") from error
    if detector is None or min(pixels.shape[:2]) < LEAST_SIDE:
        return objection_to_shape(pixels, orientation)
    return objection_to_faces(pixels, margin, detector)


def objection_to_faces(pixels: Pixels, margin: float, detector: FaceDetector) -> str:
    """Why a picture is not the crop of one face; empty if it is.

    Args:
        pixels: uint8 [height, width, 3], upright.
        margin: around the face in the crops of training.
        detector: finds the faces.
    """
    suspicion = suspicion_of(pixels, WHOLE, detector)
    if suspicion is not None:
        return f"it shows {len(suspicion.faces)} faces" if suspicion.faces else "no face is found in it"
    face = _largest_face(Image.fromarray(pixels), detector)
    if face is None:
        # The face was only found in a turned or scaled picture, where its box says little.
        return ""
    fills = max(face.box[2] - face.box[0], face.box[3] - face.box[1]) / max(pixels.shape[:2])
    usual = 1 / (1 + 2 * margin)
    if fills < SMALL * usual:
        return (
            f"its face fills {fills:.0%} of the longer side; those that the model learned from fill about {usual:.0%}"
        )
    return ""


def objection_to_shape(pixels: Pixels, orientation: int) -> str:
    """Why a picture is hardly the crop of one face, judged without a detector; empty if it may be one.

    Args:
        pixels: uint8 [height, width, 3], upright.
        orientation: EXIF orientation by which it was turned upright.
    """
    height, width = pixels.shape[:2]
    if orientation != AS_STORED:
        return f"it has the EXIF orientation {orientation}, as photographs from a camera have"
    if width > WIDEST * height or height > TALLEST * width:
        return f"{width} by {height} pixels are not the shape of a face"
    return ""


def _largest_face(picture: Image.Image, detector: FaceDetector) -> DetectedFace | None:
    """The largest upright face with a sufficient score, in pixels of the picture; None if there is none."""
    for side in (SIDE, LARGE):
        if side > SIDE and min(picture.size) < side:
            break
        scale = min(side / min(picture.size), LONGEST / max(picture.size))
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        seen = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
        faces = [face for face in detector.detect(np.asarray(seen)) if face.score >= FOUND_FROM]
        if faces:
            largest = max(faces, key=lambda face: face.area)
            left, top, right, bottom = (value / scale for value in largest.box)
            return DetectedFace((left, top, right, bottom), largest.score)
    return None
