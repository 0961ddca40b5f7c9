"""The families of models that can be trained, a file each."""

from diffcli.families.base import Family
from diffcli.families.dae import DAE
from diffcli.families.diffusion import DIFFUSION
from diffcli.families.vae import VAE
from diffcli.recipes import Training

FAMILIES: dict[str, Family] = {family.name: family for family in (DIFFUSION, VAE, DAE)}


def family_of(recipe: Training) -> Family:
    """The family that a recipe is for."""
    return FAMILIES[recipe.family]
