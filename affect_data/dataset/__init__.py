"""The dataset folder: its columns, its column groups, how they are written and read."""
