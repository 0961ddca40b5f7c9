"""The forward process walked step by step beside the jump to the same time: one law, other paths."""

MOST_STEPS = 10_000
