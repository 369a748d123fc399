"""LangChain: an answer as an object of your own class, and the message it was read from."""

from gateway import MODEL, configure
from langchain_gemway import ChatGemway
from pydantic import BaseModel, Field


class Person(BaseModel):
    """A person that a text is about."""

    name: str = Field(description="the full name")
    born: int = Field(description="the year of birth")


configure()
model = ChatGemway(model=MODEL).with_structured_output(Person, include_raw=True)

result = model.invoke("Ada Lovelace was born in 1815 in London.")

print(result["parsed"])
print(result["raw"].usage_metadata)
