"""The training recipe: its sections, how it is read, and what cannot be asked for together."""
