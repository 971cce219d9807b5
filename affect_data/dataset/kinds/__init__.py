"""The kinds of column groups that stand beside a dataset's labels and pictures."""
