"""Faces in pixels: detectors behind one interface, and what is made of the faces that they find. Nothing here knows a dataset."""
