"""Statistics of a dataset: labels alone and together, imbalance, agreement of annotators, people."""
