"""The report of a dataset: one HTML file that needs no script, no network and no picture files."""
