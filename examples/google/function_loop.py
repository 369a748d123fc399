"""The same by hand: a declaration, the call, and its result."""

from gemway.google import google_options
from google import genai
from google.genai import types

declaration = types.FunctionDeclaration(
    name="schedule_meeting",
    description="Schedules a meeting at a given time.",
    parameters=types.Schema(
        type="OBJECT",
        properties={
            "attendees": types.Schema(type="ARRAY", items=types.Schema(type="STRING")),
            "time": types.Schema(type="STRING"),
        },
        required=["attendees", "time"],
    ),
)
config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declaration])])
client = genai.Client(**google_options())

contents = [types.Content(role="user", parts=[types.Part(text="Meet Bob and Alice at 10:00.")])]
response = client.models.generate_content(model="gemini-3-flash-preview", contents=contents, config=config)
call = response.function_calls[0]
print(f"{call.name}({call.args})")

contents.append(response.candidates[0].content)
result = types.Part.from_function_response(name=call.name, response={"result": "scheduled"})
contents.append(types.Content(role="user", parts=[result]))
print(client.models.generate_content(model="gemini-3-flash-preview", contents=contents, config=config).text)
