"""Decisions about labels in a plain file, the rows that they fit, and label versions that can be undone."""
