"""Refunds need a human: an agent that stops before it pays, and goes on after an approval, an edit or a refusal."""

from typing import Literal

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import BaseModel, Field

ORDERS = {"A100": 40.0, "B200": 15.5, "C300": 220.0}
paid: dict[str, float] = {}


class Outcome(BaseModel):
    """How a case ended."""

    order_id: str = Field(description="the order")
    status: Literal["refunded", "refused"] = Field(description="whether money was paid back")


@tool
def find_order(order_id: str) -> str:
    """Find an order and its amount in euros."""
    return f"Order {order_id}: {ORDERS[order_id]} euros" if order_id in ORDERS else "unknown order"


@tool
def issue_refund(order_id: str, amount: float) -> str:
    """Pay money back for an order."""
    paid[order_id] = amount
    return f"{amount} euros were refunded for {order_id}"


llm = ChatOpenAI(model="gpt-4o", temperature=0.0, n=1, presence_penalty=0, organization="org-1", store=False)

agent = create_agent(
    model=llm,
    tools=[find_order, issue_refund],
    system_prompt="You handle refunds. Amounts are in euros.",
    middleware=[HumanInTheLoopMiddleware(interrupt_on={"issue_refund": True, "find_order": False})],
    checkpointer=InMemorySaver(),
)


def decide(request: dict) -> dict:
    """Stand in for the person at the desk."""
    args = request["args"]
    amount = ORDERS.get(args["order_id"], 0.0)
    if amount > 100:
        return {"type": "reject", "message": "Too much money, ask the manager."}
    if args["amount"] != amount:
        edited = {"name": request["name"], "args": {**args, "amount": amount}}
        return {"type": "edit", "edited_action": edited}
    return {"type": "approve"}


def handle(case: str, text: str) -> None:
    config = {"configurable": {"thread_id": case}}
    result = agent.invoke({"messages": [("user", text)]}, config)
    while "__interrupt__" in result:
        requests = result["__interrupt__"][0].value["action_requests"]
        decisions = [decide(request) for request in requests]
        print(f"[{case}] {[request['args'] for request in requests]} -> {[each['type'] for each in decisions]}")
        result = agent.invoke(Command(resume={"decisions": decisions}), config)
    print(f"[{case}] {result['messages'][-1].content}")
    outcome = llm.with_structured_output(Outcome).invoke(result["messages"])
    print(f"[{case}] {outcome.order_id}")


if __name__ == "__main__":
    handle("one", "Use issue_refund for order_id A100 with amount 40.")
    handle("two", "Use issue_refund for order_id B200 with amount 99.")
    handle("three", "Use issue_refund for order_id C300 with amount 220.")
    print("paid:", paid)
