"""Does a model obey its hints? What it draws, beside what it draws without them, and beside real images."""
