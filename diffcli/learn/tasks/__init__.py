"""The tasks of the package, one folder each; `docs/learn/writing.md` says what is in one."""
