"""Turns flushing to disk off: it takes milliseconds, thousands of times, and matters only if the power fails, which no test can try."""

import os

os.fsync = lambda descriptor: None
