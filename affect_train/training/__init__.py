"""A run: what it needs before the first step, the loop, and what it leaves behind."""
