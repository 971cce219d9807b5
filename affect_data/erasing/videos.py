"""The videos of a dataset of which frames are erased: one without a row that stays goes, any other stays as it is, and is named."""

from dataclasses import dataclass
from pathlib import Path

from affect_data.databases.video_rows import SEPARATOR
from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.pictures import SplitPictures
from affect_data.dataset.videos import videos_of_rows
from affect_data.erasing.selection import Masks
from affect_data.files import link_file
from affect_data.video.stored import VIDEOS


@dataclass(frozen=True)
class ErasedVideo:
    """A video of which frames are erased.

    Attributes:
        name: of its file in the dataset's folder of videos.
        source: the file that it was copied from, as database and path in it.
        erased: number of rows that are erased.
        stay: number of rows that stay.
    """

    name: str
    source: str
    erased: int
    stay: int

    @property
    def fate(self) -> str:
        """What becomes of it, in words."""
        source = f"its source {self.source} is not ours to change"
        if not self.stay:
            return f"no row that stays shows a frame of it: is removed; {source}"
        return (
            f"{self.stay:,} row(s) that stay show frames of it, and videos are not cut: it stays, and with it the pictures of {self.erased:,} erased "
            f"row(s), which no row names any more; {source}. To have them out, cut the source and build again, or erase the other rows too"
        )


def erased_videos(folder: DatasetFolder, masks: Masks) -> tuple[ErasedVideo, ...]:
    """The videos that erased rows name, sorted by the files that they were copied from.

    Args:
        folder: the dataset.
        masks: whether each row is erased, by split.
    """
    counts: dict[str, list[int]] = {}
    sources: dict[str, str] = {}
    for split, videos in videos_of_rows(folder).items():
        pictures = SplitPictures(folder, split)
        for row, name in enumerate(videos):
            if name:
                counts.setdefault(name, [0, 0])[bool(masks[split][row])] += 1
                sources[name] = sources.get(name) or pictures.path(row).rpartition(SEPARATOR)[0]
    found = [ErasedVideo(name, sources[name], erased, stay) for name, (stay, erased) in counts.items() if erased]
    return tuple(sorted(found, key=lambda video: (video.source, video.name)))


def carry_videos(folder: DatasetFolder, erased: tuple[ErasedVideo, ...], new: Path) -> None:
    """Gives the videos of the rows that stay a second name in the new folder of a dataset; there is one if the old one has it."""
    if folder.videos is None:
        return
    gone = {video.name for video in erased if not video.stay}
    (new / VIDEOS).mkdir()
    for file in sorted(folder.videos.iterdir()):
        if file.name not in gone and not file.name.startswith("."):
            link_file(file, new / VIDEOS / file.name)
