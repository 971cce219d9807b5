"""Looking at a dataset in a browser: filters with counts, a grid of faces, one face large, and decisions about them."""
