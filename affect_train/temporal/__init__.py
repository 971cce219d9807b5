"""Sequences of faces: windows of consecutive frames over stored features, and the recurrent stage that reads them."""
