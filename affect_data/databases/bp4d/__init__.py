"""BP4D-Spontaneous: 41 people in eight tasks, action units and the intensity of five coded frame by frame."""
