"""Ask, ask again with the conversation so far, and count the tokens."""

from gateway import MODEL, configure
from gemway import Client

configure()
client = Client()
contents = []

for question in ("The capital of Australia is Canberra. What is the capital of Australia?", "Say it in capitals."):
    contents.append({"role": "user", "parts": [{"text": question}]})
    response = client.generate_content(MODEL, {"contents": contents})
    # The model's turn goes back as it came: its parts may carry signatures.
    contents.append(response.candidates[0].content)
    print(f"> {question}\n{response.text}\n")

usage = response.usage_metadata
print(f"{usage.prompt_token_count} tokens in, {usage.candidates_token_count} out, finish: {response.finish_reason}")
