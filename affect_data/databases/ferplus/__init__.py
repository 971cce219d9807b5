"""FER+: the pictures of FER2013, each with the votes of ten annotators."""
