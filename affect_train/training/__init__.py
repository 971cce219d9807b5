"""A training run: its preparation, the loop, and what it writes."""
