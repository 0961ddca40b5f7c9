"""Random processes with known laws."""
