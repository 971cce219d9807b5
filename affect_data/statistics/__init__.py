"""What a dataset holds: labels alone and together, imbalance, agreement of annotators, people."""
