"""Weeks 9 and 10: fine-tuning and control."""
