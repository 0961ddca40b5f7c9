"""Checks of what becomes of files: what is black and white, which images are held out, how classes are numbered."""
