"""Erases a person from a dataset folder: rows, copies of pictures, and what was made from them."""
