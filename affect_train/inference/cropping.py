"""Cuts found faces out of photographs and frames as the faces were cut that a model was trained on: the same code, equal pixels."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from affect_data.faces.detection import DetectedFace, Pixels
from affect_data.faces.orientation import orientation_of, stored_box, upright, upright_size
from affect_data.faces.policies import NoCropError
from affect_train.inputs.preprocess import Preprocessing, crop


def faces_as_trained(
    pixels: Pixels,
    faces: Sequence[DetectedFace],
    preprocessing: Preprocessing,
    *,
    data: bytes | None = None,
    told: Callable[[int, str], None] = lambda *_: None,
) -> Pixels:
    """The faces of a picture as a model takes them, uint8 [N, S, S, 3], in the order of `faces`.

    With a crop policy, a face is cut, encoded, and decoded again, exactly as `affect-data align` and training do. Without one, the square around the
    box is cut with the model's margin; from the file's bytes, if they are given, by the decoder of training, which reduces large JPEG files.

    Args:
        pixels: uint8 [height, width, 3], RGB, upright.
        faces: in pixels of that picture.
        preprocessing: of the model.
        data: the picture's file; None for a frame of a video.
        told: is called with the number of a face and why it could not be cut as in training; it is then shown by its box or as the whole picture.
    """
    size = preprocessing.image_size
    shown = np.empty((len(faces), size, size, 3), np.uint8)
    for number, face in enumerate(faces):
        try:
            shown[number] = _face(pixels, face, preprocessing, data)
        except NoCropError as error:
            told(number, str(error))
            shown[number] = _fallback(pixels, face, preprocessing)
    return shown


def crop_warning(preprocessing: Preprocessing) -> str:
    """Why faces cannot be cut exactly as in training, whatever the detector; empty if they can."""
    if preprocessing.policy is not None:
        return ""
    return (
        f"the model was trained on the boxes of its databases with a margin of {preprocessing.margin:g}; the detector's boxes, which take their "
        "place here, are not of the same size in every database. Train with a crop policy to have equal crops (docs/faces.md)"
    )


def _face(pixels: Pixels, face: DetectedFace, preprocessing: Preprocessing, data: bytes | None) -> Pixels:
    if preprocessing.policy is not None:
        return preprocessing(preprocessing.policy.crop_bytes(pixels, face))
    height, width = pixels.shape[:2]
    if data is None:
        return crop(
            Image.fromarray(np.ascontiguousarray(pixels)),
            preprocessing.square(width, height, face.box),
            preprocessing.image_size,
        )
    orientation = orientation_of(data)
    box = stored_box(face.box, orientation, upright_size(width, height, orientation))
    return upright(preprocessing(data, box), orientation)


def _fallback(pixels: Pixels, face: DetectedFace, preprocessing: Preprocessing) -> Pixels:
    policy = preprocessing.policy
    assert policy is not None, "only policies refuse faces"
    return preprocessing(policy.encoded(policy.fallback(pixels, face.box)))
