"""Meta-auxiliary learning (Li & Shan 2021): each row's expression loss has a weight, learned from what it does for action units."""
