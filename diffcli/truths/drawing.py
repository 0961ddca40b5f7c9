"""Methods of drawing: that what they draw has the law that they claim."""
