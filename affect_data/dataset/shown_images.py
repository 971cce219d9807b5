"""A column of pictures of `datasets` whose frames of videos are decoded when a row is read."""

from pathlib import Path
from typing import Any

from datasets import Image

from affect_data.pictures import decode_rgb, is_reference
from affect_data.video.opener import PictureOpener


class ShownImage(Image):  # type: ignore[misc]  # `datasets` has no types
    """As `datasets.Image`, for rows that may name frames of videos. Copies in other processes open the videos again.

    Files that `datasets` writes hold what stands in the rows. For pictures in them, put these into the rows first, by
    ``faces.map(lambda row: {"image": row["image"]})``.

    Args:
        videos: the dataset's folder of videos.
    """

    def __init__(self, videos: Path) -> None:
        super().__init__()
        # Not a field: what is written must be an ordinary column of pictures.
        self._opener = PictureOpener(videos)

    def decode_example(self, value: Any, token_per_repo_id: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - that of `datasets`
        """The picture, as `datasets.Image` gives it.

        Raises:
            VideoError: the video is gone or has changed.
        """
        if not isinstance(value, dict) or value["bytes"] is None or not is_reference(value["bytes"]):
            return super().decode_example(value, token_per_repo_id)
        # A copy has no format, so that `datasets` writes it as PNG and not uncompressed.
        return decode_rgb(self._opener.file(value["bytes"])).copy()
