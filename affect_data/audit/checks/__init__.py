"""The audits, one module each; ``audit.registry`` names them."""
