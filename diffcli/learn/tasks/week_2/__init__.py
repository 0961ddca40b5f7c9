"""Weeks 2 and 3: schedules and score matching."""
