"""From a model's name and options to samples on the disk."""
