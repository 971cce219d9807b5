"""Training on the partial labels of a merged facial-affect dataset, and soft labels from what was trained."""
