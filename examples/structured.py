"""Get an answer as an object of your own class."""

from gateway import MODEL, configure
from gemway import Client, response_schema
from pydantic import BaseModel


class Recipe(BaseModel):
    """A dish and its ingredients."""

    name: str
    minutes: int
    ingredients: list[str]


configure()
request = {
    "contents": [
        {
            "role": "user",
            "parts": [{"text": "Name: Pancakes. They take 20 minutes. Ingredients: flour, milk and eggs."}],
        }
    ],
    "generationConfig": response_schema(Recipe.model_json_schema()),
}
response = Client().generate_content(MODEL, request)

recipe = Recipe.model_validate_json(response.text)
print(f"{recipe.name}: {recipe.minutes} minutes, {', '.join(recipe.ingredients)}")
