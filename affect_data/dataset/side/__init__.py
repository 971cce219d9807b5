"""Side groups: what some databases give in addition to the labels, in column groups that only datasets of such databases have."""
