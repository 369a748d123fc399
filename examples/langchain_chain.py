"""LangChain: a prompt, the model and a parser, streaming."""

from gateway import MODEL, configure
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_gemway import ChatGemway

configure(chunk_delay=0.02)
prompt = ChatPromptTemplate.from_messages(
    [("system", "Answer from this text only:\n\n{text}"), ("human", "{question}")],
)
chain = prompt | ChatGemway(model=MODEL) | StrOutputParser()
text = "Lake Baikal is the deepest lake on Earth. Its greatest depth is 1,642 metres. It lies in Siberia."

for piece in chain.stream({"text": text, "question": "What is its greatest depth?"}):
    print(piece, end="", flush=True)
print()
