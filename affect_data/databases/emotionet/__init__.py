"""EmotioNet: lists of web photographs with one face each, and the action units that it shows."""
