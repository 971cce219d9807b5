"""A page about training runs: their figures beside each other, and what they say."""
