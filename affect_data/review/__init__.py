"""Review of labels by a person: a ranked queue, a page to decide on, decisions as a plain file, and label versions that can be undone."""
