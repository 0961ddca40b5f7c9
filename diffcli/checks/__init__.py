"""Checks against closed forms, a folder for each part of the package that they examine."""
