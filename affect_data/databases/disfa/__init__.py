"""DISFA: videos of 27 people who watch a film, twelve action units coded in every frame."""
