"""Which text is nearest to a question: embeddings, token counts and the models that there are."""

from gemway.google import google_options
from google import genai
from google.genai import types

TEXTS = ["How do I bake bread?", "The weather is fine today.", "Bread needs flour, water, salt and yeast."]

client = genai.Client(**google_options())

result = client.models.embed_content(
    model="gemini-embedding-001", contents=TEXTS, config=types.EmbedContentConfig(output_dimensionality=256)
)
question, *others = [embedding.values for embedding in result.embeddings]
scores = [sum(one * two for one, two in zip(question, other, strict=True)) for other in others]
print(f"{TEXTS[0]} -> {TEXTS[1 + scores.index(max(scores))]}")

print(client.models.count_tokens(model="gemini-2.5-flash", contents=TEXTS).total_tokens, "tokens")
print(len(list(client.models.list())), "models")
