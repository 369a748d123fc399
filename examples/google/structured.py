"""Recipes as objects of a class."""

from gemway.google import google_options
from google import genai
from google.genai import types
from pydantic import BaseModel


class Recipe(BaseModel):
    recipe_name: str
    ingredients: list[str]


client = genai.Client(**google_options())

response = client.models.generate_content(
    model="gemini-2.5-flash",
    contents="List two popular cookie recipes.",
    config=types.GenerateContentConfig(response_mime_type="application/json", response_schema=list[Recipe]),
)
for recipe in response.parsed:
    print(f"{recipe.recipe_name}: {', '.join(recipe.ingredients)}")
