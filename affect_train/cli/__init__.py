"""The command ``affect-train``."""
