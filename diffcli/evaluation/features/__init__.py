"""What images are judged by: numbers that a network, or the pixels themselves, make of each."""
