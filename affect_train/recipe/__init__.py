"""The training recipe: its sections, how it is read, and the rules between its sections."""
