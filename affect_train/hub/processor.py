"""The image processor of published models: the preprocessing of training, in the form that transformers loads."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from transformers import AutoImageProcessor
from transformers.image_processing_utils import BaseImageProcessor, BatchFeature

from affect_data.errors import DataError, UsageError
from affect_data.faces.detection import DetectedFace, Pixels
from affect_data.faces.orientation import AS_STORED, orientation_of, upright, upright_pixels
from affect_data.pictures import PictureError, rgb
from affect_train.inference.cropping import faces_as_trained
from affect_train.inputs.files import picture_bytes
from affect_train.inputs.preprocess import Preprocessing, crop
from affect_train.network.model import AffectConfig

Picture = str | Path | bytes | Image.Image | NDArray[np.uint8]
"""A picture file, its bytes, a picture of Pillow, or uint8 [height, width, 3] in RGB."""

PICTURES: Final = (str, Path, bytes, Image.Image, np.ndarray)
INPUTS: Final = "inputs"


class AffectImageProcessor(BaseImageProcessor):
    """Crops of faces as a model's input, uint8 [N, 3, S, S] in RGB; the model itself brings them to its scale.

    A file, its bytes, or a picture of Pillow that has not been decoded yet gives the very pixels that `affect-train predict` uses. A picture that was
    decoded before is scaled from its pixels; of a large JPEG file, which is otherwise decoded at a smaller scale, that is not equal to the last bit.

    Args:
        preprocessing: values of `Preprocessing.to_dict`.
        preprocessing_hash: of these values.
    """

    model_input_names = [INPUTS]  # noqa: RUF012 - the type that transformers looks up

    def __init__(
        self,
        preprocessing: Mapping[str, Any] | None = None,
        preprocessing_hash: str = "",
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        self.preprocessing = dict(preprocessing or {})
        self.preprocessing_hash = preprocessing_hash

    def __call__(
        self,
        images: Picture | Sequence[Picture],
        return_tensors: str | None = None,
        faces: Sequence[Sequence[DetectedFace]] | None = None,
        **_: Any,  # noqa: ANN401
    ) -> BatchFeature:
        """The model's ``inputs``, uint8 [N, 3, S, S].

        Args:
            images: one picture or several: each the crop of one face, cut as the model was trained; or, with `faces`, whole photographs.
            faces: the faces that were found in each photograph, in its upright pixels; they are cut as the model was trained, one after the other.
            return_tensors: ``pt`` for tensors of torch; None for arrays of numpy.

        Raises:
            DataError: a picture is missing or cannot be decoded, or this release would make other pixels than the model was trained on.
            UsageError: something is no picture, or `faces` are not those of as many pictures.
        """
        seen = self._seen()
        pictures = [images] if isinstance(images, PICTURES) else list(images)
        if faces is None:
            pixels = [face_pixels(picture, seen) for picture in pictures]
        elif len(faces) != len(pictures):
            raise UsageError(f"faces: found those of {len(faces)} pictures; give those of each of the {len(pictures)}")
        else:
            pixels = [
                face
                for picture, found in zip(pictures, faces, strict=True)
                for face in photograph_faces(picture, found, seen)
            ]
        size = seen.image_size
        stacked = np.stack(pixels) if pixels else np.empty((0, size, size, 3), np.uint8)
        inputs = np.ascontiguousarray(stacked.transpose(0, 3, 1, 2))
        return BatchFeature({INPUTS: inputs}, tensor_type=return_tensors or "np")

    preprocess = __call__

    def _seen(self) -> Preprocessing:
        try:
            seen = Preprocessing.from_dict(self.preprocessing)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"the preprocessing of this model cannot be used ({error}); use the release of affectkit that published it"
            ) from error
        if seen.digest() != self.preprocessing_hash:
            raise DataError(
                f"the preprocessing of this model has hash {seen.digest()}, training saw {self.preprocessing_hash}; publish the model again"
            )
        return seen


def face_pixels(picture: Picture, preprocessing: Preprocessing) -> Pixels:
    """A picture as the model's input, uint8 [S, S, 3] in RGB, turned upright.

    Args:
        picture: the crop of one face.
        preprocessing: of the model.

    Raises:
        DataError: the file is missing, or the picture cannot be decoded.
        UsageError: this is no picture.
    """
    name = f"image '{picture}'" if isinstance(picture, str | Path) else "image"
    try:
        if isinstance(picture, str | Path):
            return _encoded(picture_bytes(Path(picture)), preprocessing)
        if isinstance(picture, bytes):
            return _encoded(picture, preprocessing)
        if isinstance(picture, Image.Image):
            data = _undecoded(picture)
            return _decoded(picture, preprocessing) if data is None else _encoded(data, preprocessing)
    except PictureError as error:
        raise DataError(f"{name}: {error}") from error
    return _decoded(Image.fromarray(_array(picture)), preprocessing)


def photograph_faces(picture: Picture, faces: Sequence[DetectedFace], preprocessing: Preprocessing) -> Pixels:
    """The faces of a photograph as the model's input, uint8 [N, S, S, 3] in RGB, cut as in training.

    Args:
        picture: the whole photograph.
        faces: found in it, in upright pixels.
        preprocessing: of the model.

    Raises:
        DataError: the file is missing or cannot be decoded, or a face cannot be cut.
        UsageError: this is no picture.
    """
    name = f"image '{picture}'" if isinstance(picture, str | Path) else "image"
    pixels, data = photograph_pixels(picture)
    try:

        def refuse(number: int, because: str) -> None:
            remedy = "Leave it out, or use a detector that gives what the crop policy needs"
            raise DataError(f"{name}, face {number}: {because}. {remedy}")

        return faces_as_trained(pixels, faces, preprocessing, data=data, told=refuse)
    except PictureError as error:
        raise DataError(f"{name}: {error}") from error


def photograph_pixels(picture: Picture) -> tuple[Pixels, bytes | None]:
    """A photograph, uint8 [height, width, 3] in RGB, upright; and the bytes of its file, None if it has been decoded before.

    Raises:
        DataError: the file is missing or cannot be decoded.
        UsageError: this is no picture.
    """
    data = _file_of(picture)
    try:
        return _upright(picture) if data is None else upright_pixels(data), data
    except PictureError as error:
        name = f"image '{picture}'" if isinstance(picture, str | Path) else "image"
        raise DataError(f"{name}: the image cannot be decoded: {error}") from error


def _file_of(picture: Picture) -> bytes | None:
    """The bytes of a picture's file; None if it has been decoded before."""
    if isinstance(picture, str | Path):
        return picture_bytes(Path(picture))
    if isinstance(picture, bytes):
        return picture
    return _undecoded(picture) if isinstance(picture, Image.Image) else None


def _upright(picture: Picture) -> Pixels:
    """A decoded picture, uint8 [height, width, 3] in RGB, upright."""
    if isinstance(picture, Image.Image):
        turn = picture.getexif().get(ExifTags.Base.Orientation, AS_STORED)
        return np.ascontiguousarray(upright(np.asarray(rgb(picture)), turn))
    return _array(picture)


def _array(picture: object) -> Pixels:
    """The array, if it is a picture.

    Raises:
        UsageError: it is none.
    """
    if isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.shape[2:] == (3,):
        return np.ascontiguousarray(picture)
    shown = f"{picture.dtype} {list(picture.shape)}" if isinstance(picture, np.ndarray) else type(picture).__name__
    raise UsageError(
        f"found {shown}; give a path, bytes, a picture of Pillow, or an array uint8 [height, width, 3] in RGB"
    )


def _encoded(data: bytes, preprocessing: Preprocessing) -> Pixels:
    return np.ascontiguousarray(upright(preprocessing(data), orientation_of(data)))


def _decoded(picture: Image.Image, preprocessing: Preprocessing) -> Pixels:
    shown = rgb(picture)
    pixels = crop(shown, preprocessing.square(*shown.size, None), preprocessing.image_size)
    turn = picture.getexif().get(ExifTags.Base.Orientation, AS_STORED)
    return np.ascontiguousarray(upright(pixels, turn))


def _undecoded(picture: Image.Image) -> bytes | None:
    """The bytes of the file of a picture that has not been decoded yet; None if there are none."""
    file = getattr(picture, "fp", None)
    if file is None or not getattr(picture, "tile", None) or not file.seekable():
        return None
    place = file.tell()
    file.seek(0)
    data: bytes = file.read()
    file.seek(place)
    return data


AutoImageProcessor.register(AffectConfig, image_processor_classes={"pil": AffectImageProcessor}, exist_ok=True)
