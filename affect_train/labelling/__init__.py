"""Soft labels: from our own models, foreign ones and several together, written back as columns."""
