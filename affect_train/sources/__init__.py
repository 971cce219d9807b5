"""Where the rows of a recipe come from: a dataset folder, or any other dataset of the Hub or of this machine."""

from affect_train.sources.source import FolderSource, ForeignSource, LoadedSplit, Source, open_source, own_folder

__all__ = ["FolderSource", "ForeignSource", "LoadedSplit", "Source", "open_source", "own_folder"]
