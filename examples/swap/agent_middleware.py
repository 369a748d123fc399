"""A help desk agent that survives bad days: retries, a second model, and summaries of long conversations."""

from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware, ModelRetryMiddleware, SummarizationMiddleware
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

TICKETS = {"T-17": "The printer in room 12 is out of toner.", "T-18": "The VPN drops every ten minutes."}


@tool
def read_ticket(ticket_id: str) -> str:
    """Read a ticket of the help desk."""
    return TICKETS.get(ticket_id, f"there is no ticket {ticket_id}")


@tool
def close_ticket(ticket_id: str, reason: str) -> str:
    """Close a ticket of the help desk for a reason."""
    TICKETS.pop(ticket_id, None)
    return f"{ticket_id} is closed: {reason}"


models = [ChatAnthropic(model=m, max_retries=0, betas=["files-api"]) for m in ("claude-opus-4-1", "claude-haiku-4-5")]
main_model, backup_model = models

agent = create_agent(
    main_model,
    tools=[read_ticket, close_ticket],
    system_prompt="You work at a help desk. Read a ticket before you speak about it.",
    middleware=[
        SummarizationMiddleware(model=backup_model, trigger=("messages", 9), keep=("messages", 4)),
        ModelFallbackMiddleware(backup_model),
        ModelRetryMiddleware(max_retries=2, initial_delay=0.01, jitter=False, on_failure="error"),
    ],
    checkpointer=InMemorySaver(),
)
config = {"configurable": {"thread_id": "desk"}}


def ask(text: str) -> str:
    result = agent.invoke({"messages": [{"role": "user", "content": text}]}, config)
    answer = result["messages"][-1]
    content = answer.content
    if isinstance(content, list):
        content = "".join(block["text"] for block in content if block["type"] == "text")
    print(f"[{answer.response_metadata.get('model_name')}] {content}")
    return content


if __name__ == "__main__":
    ask("Use read_ticket for T-17.")
    ask("Use read_ticket for T-18.")
    ask("Use close_ticket. ticket_id: T-17, reason: toner replaced")
    ask("Use read_ticket for T-18 again. What is wrong with the VPN?")
    messages = agent.get_state(config).values["messages"]
    print(len(messages), "messages are kept, the first begins:", messages[0].content[:40])
    print("open:", ", ".join(TICKETS))
