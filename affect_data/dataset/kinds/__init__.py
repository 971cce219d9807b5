"""The kinds of column groups that a dataset can have besides labels and pictures."""
