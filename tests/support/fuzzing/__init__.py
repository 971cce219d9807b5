"""Readers meet damaged copies of the demo databases, and the copies that lead to new lines of their code are damaged further."""
