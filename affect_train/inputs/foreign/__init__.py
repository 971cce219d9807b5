"""Where the rows of a recipe come from: a dataset folder, or any other dataset of the Hub or of this machine."""

from affect_train.inputs.foreign.source import ForeignSource, LoadedSplit, open_source, own_folder, report_of

__all__ = ["ForeignSource", "LoadedSplit", "open_source", "own_folder", "report_of"]
