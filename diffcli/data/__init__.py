"""From a name or a folder to batches."""
