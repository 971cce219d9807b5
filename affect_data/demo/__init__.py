"""Synthetic faces whose truth is known, and the official layouts that they are written in."""
