"""The data sets and the transforms of torchvision, which is imported when something asks for it and never before.

Everything else goes on working where torchvision cannot be imported.
"""

import importlib
from types import ModuleType
from typing import Any

from diffcli.errors import EnvironmentProblem

PREFIX = "torchvision:"
"""What the names of its data sets begin with."""


def transforms() -> Any:
    """torchvision.transforms.v2; raises EnvironmentProblem."""
    return import_from_torchvision("transforms.v2")


def import_from_torchvision(module: str) -> ModuleType:
    """A module of torchvision; raises EnvironmentProblem where it is missing, or was built for another torch."""
    try:
        return importlib.import_module(f"torchvision.{module}")
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == "torchvision":
            raise EnvironmentProblem("torchvision is not installed", "pip install torchvision") from error
        raise _unfit(error) from error
    except Exception as error:  # RuntimeError, ImportError, OSError, AttributeError: whatever a mismatch leads to
        raise _unfit(error) from error


def _unfit(error: Exception) -> EnvironmentProblem:
    line = str(error).strip().splitlines()
    return EnvironmentProblem(
        f"torchvision does not go with the torch that is installed: {line[0] if line else type(error).__name__}",
        "install both from the same index: pip install --force-reinstall torch torchvision",
    )
