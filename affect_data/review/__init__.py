"""Review of labels by a person: a ranked queue, and a page in the browser to decide on each face."""
