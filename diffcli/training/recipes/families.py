"""The recipes of every family of models, by its name. Torch is not needed."""

from diffcli.training.recipes import Training
from diffcli.training.recipes.codec import CodecRecipe
from diffcli.training.recipes.dae import DaeRecipe
from diffcli.training.recipes.diffusion import Recipe
from diffcli.training.recipes.vae import VaeRecipe

USUAL: dict[str, Training] = {recipe.family: recipe for recipe in (Recipe(), VaeRecipe(), CodecRecipe(), DaeRecipe())}
