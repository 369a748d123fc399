"""Summarise a long text: chunks are summarised side by side, then the summaries are joined until one is left."""

import asyncio
import operator
from typing import Annotated, TypedDict

from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_google_genai import ChatGoogleGenerativeAI
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

REPORT = """The harbour was opened in 1897. It has four docks and a lighthouse. The lighthouse is 31 metres tall.

In 1952 a storm destroyed the northern dock. The city rebuilt it within two years. The new dock is made of concrete.

Today 2,300 ships call at the harbour every year. Most of them carry grain. The grain comes from the inland plains.

The railway to the harbour was electrified in 1978. A second track is planned. It will cost 40 million euros.

Seals live on the outer breakwater. They are protected by law. Visitors may watch them from the eastern pier."""

TOKEN_MAX = 120
llm = ChatGoogleGenerativeAI(model="gemini-1.5-flash", temperature=0.2, max_output_tokens=512, retries=3, top_k=40)

map_prompt = ChatPromptTemplate.from_messages([("human", "Write a concise summary of the following:\n\n{context}")])
reduce_prompt = ChatPromptTemplate.from_messages(
    [
        ("system", "You are an editor. Keep names and numbers."),
        ("human", "The following is a set of summaries. Write a concise summary of the following:\n\n{docs}"),
    ]
)
map_chain = map_prompt | llm | StrOutputParser()
reduce_chain = reduce_prompt | llm | StrOutputParser()


class State(TypedDict):
    contents: list[str]
    summaries: Annotated[list[str], operator.add]
    collapsed: list[Document]
    final: str


class ChunkState(TypedDict):
    content: str


async def summarise_chunk(state: ChunkState) -> dict:
    return {"summaries": [await map_chain.ainvoke({"context": state["content"]})]}


def one_per_chunk(state: State) -> list[Send]:
    return [Send("summarise_chunk", {"content": content}) for content in state["contents"]]


def length(documents: list[Document]) -> int:
    return sum(llm.get_num_tokens(document.page_content) for document in documents)


def collect(state: State) -> dict:
    return {"collapsed": [Document(page_content=summary) for summary in state["summaries"]]}


async def collapse(state: State) -> dict:
    pairs = [state["collapsed"][index : index + 2] for index in range(0, len(state["collapsed"]), 2)]
    texts = ["\n\n".join(document.page_content for document in pair) for pair in pairs]
    summaries = await reduce_chain.abatch([{"docs": text} for text in texts], config={"max_concurrency": 3})
    return {"collapsed": [Document(page_content=summary) for summary in summaries]}


def should_collapse(state: State) -> str:
    is_long = length(state["collapsed"]) > TOKEN_MAX and len(state["collapsed"]) > 1
    return "collapse" if is_long else "finish"


async def finish(state: State) -> dict:
    docs = "\n\n".join(document.page_content for document in state["collapsed"])
    return {"final": await reduce_chain.ainvoke({"docs": docs})}


builder = StateGraph(State)
builder.add_node("summarise_chunk", summarise_chunk)
builder.add_node("collect", collect)
builder.add_node("collapse", collapse)
builder.add_node("finish", finish)
builder.add_conditional_edges(START, one_per_chunk, ["summarise_chunk"])
builder.add_edge("summarise_chunk", "collect")
builder.add_conditional_edges("collect", should_collapse, ["collapse", "finish"])
builder.add_conditional_edges("collapse", should_collapse, ["collapse", "finish"])
builder.add_edge("finish", END)
graph = builder.compile()


async def main() -> None:
    async for step in graph.astream({"contents": REPORT.split("\n\n")}, {"recursion_limit": 10}):
        print("done:", ", ".join(step))
        if "finish" in step:
            print("Summary:", step["finish"]["final"])


if __name__ == "__main__":
    asyncio.run(main())
