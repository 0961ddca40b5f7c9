"""The variational bound of a model on data: what it errs by at every level, and what every step costs for that."""
