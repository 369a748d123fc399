"""Let the model call a function of yours, and answer from its result."""

from gateway import MODEL, configure
from gemway import Client, function_declaration


def get_weather(city: str) -> dict[str, object]:
    """The weather in a city."""
    return {"city": city, "sky": "sunny", "degrees": 21}


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = function_declaration("get_weather", "Get the current weather in a city.", SCHEMA)

configure()
client = Client()
contents = [{"role": "user", "parts": [{"text": "What is the weather in Paris?"}]}]

while True:
    response = client.generate_content(MODEL, {"contents": contents, "tools": [{"functionDeclarations": [TOOL]}]})
    contents.append(response.candidates[0].content)
    if not response.function_calls:
        break
    answers = []
    for call in response.function_calls:
        print(f"calling {call.name}({call.args})")
        answers.append({"functionResponse": {"id": call.id, "name": call.name, "response": get_weather(**call.args)}})
    contents.append({"role": "user", "parts": answers})

print(response.text)
