"""UNBC-McMaster: videos of people with shoulder pain, ten action units and a pain score coded frame by frame."""
