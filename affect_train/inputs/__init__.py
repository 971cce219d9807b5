"""From rows to batches: which rows take turns, how their pictures are decoded and augmented, their labels as arrays."""
