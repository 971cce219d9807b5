"""From photographs and clips to a table of their faces, with pictures of the result: what ``affect-train predict --out`` does."""
