"""Side groups: what some databases say beside the labels, in column groups that only datasets of such databases have."""
