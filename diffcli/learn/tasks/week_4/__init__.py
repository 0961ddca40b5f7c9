"""Week 4: the network."""
