"""Langevin dynamics: its stationary law, and the bias of its step."""
