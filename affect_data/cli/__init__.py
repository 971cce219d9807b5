"""The command ``affect-data``."""
