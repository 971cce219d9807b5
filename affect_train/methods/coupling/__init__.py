"""Losses by which action units and expressions teach each other (Kollias et al. 2019)."""
