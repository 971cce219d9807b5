"""Writes VEATIC's official layout with demo faces."""

from pathlib import Path
from typing import Final

from affect_data.demo.rated_videos import Form, write_rated_videos
from affect_data.demo.sampler import FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles

STYLE: Final = Style(tint=(0.95, 1.0, 1.05), brightness=0.9, gradient=0.3, turn=0.6, blur=0.004)
"""What sets its pictures apart: films."""

FORM: Final = Form("rating_averaged/{video}_{label}.csv", "{number},{value}", "{number}.jpg", first=0)


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of their faces. Numbers of frames begin with 0 and have no leading zeros."""
    return write_rated_videos(root, sampler, faces, FORM)
