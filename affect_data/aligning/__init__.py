"""Finds the faces of a dataset's rows, and keeps them as column groups: ``affect-data align``."""
