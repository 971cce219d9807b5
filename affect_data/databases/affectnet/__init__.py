"""AffectNet: an expression, valence and arousal for faces in web images."""
