"""The demo world: drawn faces with known truth, written in the official layouts of the databases."""
