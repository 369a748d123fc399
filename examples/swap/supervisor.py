"""A supervisor that hands a task to a researcher and an accountant, each an agent of its own, on one StateGraph."""

from typing import Literal

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command
from pydantic import BaseModel, Field

llm = ChatAnthropic(model="claude-sonnet-4-5", max_tokens=2048, default_request_timeout=90.0, stop_sequences=["</end>"])

FACTS = {
    "solar": "A solar panel costs 180 euros and yields 400 kWh a year.",
    "wind": "A small wind turbine costs 2400 euros and yields 1500 kWh a year.",
}


class Route(BaseModel):
    """The worker who acts next, or FINISH when the task is done."""

    next: Literal["researcher", "accountant", "FINISH"] = Field(description="who acts next")
    instructions: str = Field(description="what the worker has to do")


@tool
def look_up_fact(topic: str) -> str:
    """Look up a fact about a topic in the knowledge base."""
    facts = [fact for name, fact in FACTS.items() if name in topic.lower()]
    return " ".join(facts) or f"nothing is known about {topic}"


@tool
def multiply(a: float, b: float) -> float:
    """Multiply two numbers."""
    return a * b


researcher = create_agent(llm, [look_up_fact], system_prompt="You research facts. You never calculate.")
accountant = create_agent(llm, [multiply], system_prompt="You calculate. Use the multiply tool for every product.")

SUPERVISOR_PROMPT = (
    "You supervise two workers: researcher (finds facts) and accountant (calculates). "
    "Given the conversation, say who acts next. Answer FINISH when the question is answered."
)


class State(MessagesState):
    next: str
    instructions: str


def supervisor(state: State) -> Command[Literal["researcher", "accountant", "__end__"]]:
    messages = [{"role": "system", "content": SUPERVISOR_PROMPT}, *state["messages"]]
    route = llm.with_structured_output(Route).invoke(messages)
    print(f"supervisor: {route.next}")
    goto = END if route.next == "FINISH" else route.next
    return Command(goto=goto, update={"next": goto, "instructions": route.instructions})


def worker(name: str, agent):
    def run(state: State) -> Command[Literal["supervisor"]]:
        task = HumanMessage(content=state["instructions"])
        result = agent.invoke({"messages": [*state["messages"], task]})
        answer = result["messages"][-1].content
        print(f"{name}: {answer}")
        return Command(update={"messages": [HumanMessage(content=answer, name=name)]}, goto="supervisor")

    return run


def build_graph():
    builder = StateGraph(State)
    builder.add_node("supervisor", supervisor)
    builder.add_node("researcher", worker("researcher", researcher))
    builder.add_node("accountant", worker("accountant", accountant))
    builder.add_edge(START, "supervisor")
    return builder.compile()


if __name__ == "__main__":
    question = "What do 12 solar panels cost?"
    final = build_graph().invoke({"messages": [("user", question)]}, {"recursion_limit": 20})
    for message in final["messages"]:
        print(f"{message.name or 'user'}: {message.content}")
