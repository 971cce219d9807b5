"""Aff-Wild2, as released by the editions of the ABAW competition."""
