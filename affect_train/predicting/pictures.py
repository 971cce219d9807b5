"""Pictures of the results: annotated photographs and clips, and a time line for each clip."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from PIL import Image

from affect_data.errors import DataError
from affect_data.faces.detection import Pixels
from affect_data.faces.orientation import upright_pixels
from affect_data.video.decoding import Video, VideoFrame
from affect_train.inputs.files import picture_bytes
from affect_train.predicting.annotating import annotated, enlargement
from affect_train.predicting.columns import FaceColumns
from affect_train.predicting.looking import Looked
from affect_train.predicting.sources import Source, file_names
from affect_train.predicting.timeline import timeline
from affect_train.predicting.writing import PARQUET, rows_of
from affect_train.reporting import Reporter

DRAWN: Final = "drawn"
TIMELINES: Final = "timelines"
QUALITY: Final = 90
CODECS: Final = ("libx264", "libopenh264", "mpeg4")
"""Of an annotated clip: the first that PyAV has."""

CLOCK: Final = Fraction(1, 60_000)
"""Times in an annotated clip are whole numbers of this many seconds, so that a variable rate is kept; MPEG-4 takes none shorter than 1/65535."""


def draw_results(
    folder: Path, pairs: Sequence[tuple[Source, Looked]], columns: FaceColumns, reporter: Reporter
) -> None:
    """Writes an annotated picture or clip for every source that could be decoded, and a time line for every clip with a face.

    Args:
        folder: of results, with the finished table.
        pairs: the sources, and what is known of each.
        columns: of the table.
        reporter: shows the progress.
    """
    names = file_names(source for source, _ in pairs)
    (folder / DRAWN).mkdir()
    with reporter.bar("drawing", sum(one.frames for _, one in pairs)) as advance:
        for source, one in pairs:
            if not one.frames:
                continue
            rows, name = rows_of(folder / PARQUET, source.name), names[source.name]
            if source.is_clip:
                _draw_clip(source.path, folder / DRAWN / f"{name}.mp4", rows, columns, one.frames, advance)
                if len(rows):
                    (folder / TIMELINES).mkdir(exist_ok=True)
                    timeline(rows, columns, source.path.name).save(folder / TIMELINES / f"{name}.png")
            else:
                drawn = annotated(upright_pixels(picture_bytes(source.path)), rows.to_dicts(), columns)
                Image.fromarray(drawn).save(folder / DRAWN / f"{name}.jpg", quality=QUALITY)
                advance(1)


def _draw_clip(
    source: Path,
    target: Path,
    rows: pl.DataFrame,
    columns: FaceColumns,
    count: int,
    advance: Any,  # noqa: ANN401
) -> None:
    """Decodes a clip a second time and writes it with its faces marked; memory does not grow with the clip."""
    ends = np.searchsorted(rows["frame"].to_numpy(), np.arange(count + 1))

    def marked() -> Iterator[tuple[VideoFrame, Pixels]]:
        for frame in video.frames(0, count):
            own = rows[int(ends[frame.number]) : int(ends[frame.number + 1])].to_dicts()
            yield frame, annotated(frame.pixels, own, columns)
            advance(1)

    with Video(source) as video:
        times = enlargement((video.width, video.height))
        write_clip(target, marked(), (times * video.width, times * video.height), video.rate or Fraction(25))


def write_clip(
    target: Path, frames: Iterable[tuple[VideoFrame, Pixels]], size: tuple[int, int], rate: Fraction
) -> None:
    """Writes a clip without sound, frame by frame, each at its own time.

    Args:
        target: an MP4 file.
        frames: with the pixels to show, uint8 [height, width, 3]; memory does not grow with their number.
        size: width and height of all frames.
        rate: frames a second on average.

    Raises:
        DataError: PyAV has no encoder.
    """
    import av

    codec = next((name for name in CODECS if name in av.codecs_available), None)
    if codec is None:
        raise DataError(
            f"PyAV has none of the encoders {', '.join(CODECS)}, so that no annotated clip can be written; leave out `--draw`"
        )
    with av.open(str(target), "w") as container:
        stream = container.add_stream(codec, rate=rate.limit_denominator(1000))
        # Encoders take even sizes: a last odd column or row is left out.
        stream.width, stream.height = size[0] // 2 * 2, size[1] // 2 * 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = CLOCK
        last = -1
        for frame, pixels in frames:
            picture = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(pixels[: stream.height, : stream.width]), format="rgb24"
            )
            last = max(last + 1, round(frame.timestamp / CLOCK))
            picture.pts, picture.time_base = last, CLOCK
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
