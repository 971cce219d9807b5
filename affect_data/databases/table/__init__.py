"""Reads anyone's own data: a table, class folders or a Hugging Face dataset, whose recipe says what its columns mean."""
