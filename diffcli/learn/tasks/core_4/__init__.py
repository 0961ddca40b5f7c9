"""Core 4: the variational bound and the loss."""
