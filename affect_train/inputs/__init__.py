"""From rows to batches: which rows are drawn, how their pictures are decoded and augmented, their labels as arrays."""
