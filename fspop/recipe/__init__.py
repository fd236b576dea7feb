"""Recipes: the schedule of hparams that led to a result, as data and as files."""

from fspop.recipe.read import read_recipe
from fspop.recipe.recipe import Recipe, Segment
from fspop.recipe.write import FORMS, write_recipe

__all__ = ["FORMS", "Recipe", "Segment", "read_recipe", "write_recipe"]
