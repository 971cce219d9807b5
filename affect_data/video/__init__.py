"""Videos: decoding them frame by frame, and the frames that a database counts."""
