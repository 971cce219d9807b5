"""From a data recipe and official folders to a dataset folder, with every row accounted for."""
