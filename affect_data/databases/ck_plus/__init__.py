"""CK+: people who pose expressions from a neutral face to their peak, whose action units are coded there."""
