"""A travel assistant: a ReAct agent on LangGraph with tools, a checkpointer and one memory per thread."""

from langchain_core.messages import SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import MemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

WEATHER = {"lisbon": "sunny, 24 degrees", "oslo": "snow, -3 degrees"}
RATES = {"NOK": 11.4, "USD": 1.09, "GBP": 0.86}


@tool
def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    return WEATHER.get(city.lower(), f"no report for {city}")


@tool
def convert_euros(amount: float, currency: str) -> dict:
    """Convert an amount of euros to another currency, given as ISO code."""
    if currency not in RATES:
        raise ValueError(f"there is no rate for {currency}")
    return {"amount": round(amount * RATES[currency], 2), "currency": currency}


tools = [get_weather, convert_euros]
llm = ChatOpenAI(model="gpt-4o", temperature=0, max_tokens=1024, request_timeout=60, max_retries=2, streaming=True)
llm_with_tools = llm.bind_tools(tools, parallel_tool_calls=False)

prompt = SystemMessage(content="You are a travel assistant. Use the tools for weather and money, never guess.")


def assistant(state: MessagesState) -> dict:
    return {"messages": [llm_with_tools.invoke([prompt, *state["messages"]])]}


def build_graph():
    builder = StateGraph(MessagesState)
    builder.add_node("assistant", assistant)
    builder.add_node("tools", ToolNode(tools, handle_tool_errors=True))
    builder.add_edge(START, "assistant")
    builder.add_conditional_edges("assistant", tools_condition)
    builder.add_edge("tools", "assistant")
    return builder.compile(checkpointer=MemorySaver())


def chat(graph, thread: str, text: str) -> str:
    config = {"configurable": {"thread_id": thread}, "recursion_limit": 12}
    last = None
    for event in graph.stream({"messages": [("user", text)]}, config, stream_mode="values"):
        last = event["messages"][-1]
        for call in getattr(last, "tool_calls", None) or []:
            print(f"  -> {call['name']}({call['args']})")
    return last.content


if __name__ == "__main__":
    graph = build_graph()
    for thread, text in [
        ("ada", "Hi! My name is Ada and I travel to Lisbon."),
        ("ada", "What is the weather in Lisbon?"),
        ("bob", "What are 50 euros in NOK? Use convert_euros."),
        ("bob", "And 50 euros in XAU? Use convert_euros."),
        ("ada", "What is my name?"),
    ]:
        print(f"[{thread}] {text}")
        print(f"[agent] {chat(graph, thread, text)}")

    state = graph.get_state({"configurable": {"thread_id": "ada"}})
    usage = [message.usage_metadata for message in state.values["messages"] if message.type == "ai"]
    print("tokens in thread ada:", sum(each["total_tokens"] for each in usage))
