"""The demo world: drawn faces whose truth is known, written in the official layouts of the databases."""
