"""Training recipes for real photographs, to copy and change: the YAML files of this folder; and backbones that are known to work."""
