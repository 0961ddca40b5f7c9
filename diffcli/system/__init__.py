"""Files, downloads, devices, and numbers as text."""
