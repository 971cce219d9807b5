"""Meta-auxiliary learning (Li & Shan 2021): what each row's expression counts is learned from what it does for action units."""
