"""Where the rows of a recipe come from: a dataset folder, or any other dataset of the Hub or of this machine."""
