"""The videos in a dataset's folder: which rows show frames of them, and whether they are those of the build."""

from pathlib import Path

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.pictures import SplitPictures
from affect_data.video.stored import changed_because


def videos_of_rows(folder: DatasetFolder) -> dict[str, list[str]]:
    """`SplitPictures.video` of each row, by split; no rows at all if the dataset has no videos."""
    if folder.videos is None:
        return {split: [] for split in folder.splits}
    found = {}
    for split in folder.splits:
        pictures = SplitPictures(folder, split)
        found[split] = [pictures.video(row) for row in range(len(pictures))]
    return found


def misplaced_videos(folder: DatasetFolder) -> dict[str, str]:
    """Why the videos are not those of which rows name frames, by file name; nothing is decoded."""
    named = {name for videos in videos_of_rows(folder).values() for name in videos if name}
    there = {path.name for path in _files(folder)}
    found = dict.fromkeys(sorted(named - there), "is not there")
    return found | dict.fromkeys(sorted(there - named), "no row names a frame of it")


def changed_videos(folder: DatasetFolder) -> dict[str, str]:
    """How videos differ from those that the build stored, by file name; each is read as a whole.

    Raises:
        FileAccessError: a video cannot be read.
    """
    found = {path.name: changed_because(path) for path in _files(folder)}
    return {name: because for name, because in found.items() if because}


def _files(folder: DatasetFolder) -> list[Path]:
    if folder.videos is None or not folder.videos.is_dir():
        return []
    return sorted(path for path in folder.videos.iterdir() if path.is_file() and not path.name.startswith("."))
