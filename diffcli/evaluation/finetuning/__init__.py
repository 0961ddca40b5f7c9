"""What a fine-tuned model has gained: beside its base, and beside the same recipe from scratch."""
