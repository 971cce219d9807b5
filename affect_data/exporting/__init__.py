"""Writes the labels of a dataset back into the files of the databases that they come from."""
