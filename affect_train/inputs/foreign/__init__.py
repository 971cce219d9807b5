"""Datasets that `affect-data build` did not write: mapped to the schema, loaded or streamed."""
