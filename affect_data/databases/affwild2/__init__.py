"""Aff-Wild2, as the editions of the ABAW competition release it."""
