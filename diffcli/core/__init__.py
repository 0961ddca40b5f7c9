"""The mathematics: tensors in, tensors out. It never prints, reads or writes."""
