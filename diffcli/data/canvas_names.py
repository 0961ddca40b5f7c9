"""The data sets of canvases by name, as they are listed. Importing this is cheap."""

SIDES = {"canvas-64": 64, "canvas-128": 128}
COUNTS = {"train": 50_000, "test": 10_000}
TITLE = "digits in colours on textured grounds, with all that is known of them; painted from MNIST"


def canonical(name: str) -> str:
    """The name of the set that is meant: `canvas` alone is the smaller one."""
    return "canvas-64" if name == "canvas" else name
