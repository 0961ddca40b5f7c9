"""The families of models that can be trained, a file each."""

from diffcli.training.families.base import Family
from diffcli.training.families.codec import CODEC
from diffcli.training.families.dae import DAE
from diffcli.training.families.diffusion import DIFFUSION
from diffcli.training.families.vae import VAE
from diffcli.training.recipes import Training

FAMILIES: dict[str, Family] = {family.name: family for family in (DIFFUSION, VAE, CODEC, DAE)}


def family_of(recipe: Training) -> Family:
    """The family that a recipe is for."""
    return FAMILIES[recipe.family]
