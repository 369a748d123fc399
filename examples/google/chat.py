"""A conversation that remembers, first whole, then as a stream."""

from gemway.google import google_options
from google import genai

client = genai.Client(**google_options())

chat = client.chats.create(model="gemini-2.5-flash")
print(chat.send_message("I have two dogs in my house.").text)
for chunk in chat.send_message_stream("How many paws are in my house?"):
    print(chunk.text, end="")
print()

for content in chat.get_history():
    print(f"{content.role}: {''.join(part.text for part in content.parts)}")
