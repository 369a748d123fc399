"""Turn mails into records: structured extraction with pydantic, in batches, with the raw answers kept for an audit."""

import csv
import io
import os
from datetime import date
from enum import Enum

from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field

MAILS = [
    "Order: 1042\nName: Maria Lopez\nCity: Madrid\nTitle: Dune\nCopies: 3\nDue: 2026-03-01\nIt is urgent!",
    "Order: 1043\nName: Jonas Berg\nCity: Bergen\nTitle: Peer Gynt\nCopies: 1\nDue: 2026-04-15",
    "Order: 1044\nName: Aiko Tanaka\nCity: Osaka\nTitle: Kokoro\nCopies: 12\nDue: 2026-05-20\nPriority: low",
]


class Priority(str, Enum):
    low = "low"
    normal = "normal"
    urgent = "urgent"


class Customer(BaseModel):
    """Who wants the books."""

    name: str = Field(description="full name of the person")
    city: str | None = Field(default=None, description="city, if it is named")


class Order(BaseModel):
    """An order for books, as found in a mail."""

    order: int = Field(description="number of the order", ge=1)
    customer: Customer
    title: str = Field(description="title of the book")
    copies: int = Field(default=1, ge=1, le=100, description="how many copies")
    due: date | None = Field(default=None, description="delivery date")
    priority: Priority = Priority.normal


prompt = ChatPromptTemplate.from_messages(
    [
        ("system", "You extract orders from mails. Only use what the mail says; leave out what it does not say."),
        ("human", "{mail}"),
    ]
)
llm = ChatOpenAI(model="gpt-4o-mini", temperature=0, timeout=30, max_retries=3, api_key=os.environ["OPENAI_API_KEY"])


def extract(mails: list[str]) -> list[Order]:
    """Extract with JSON Schema first; mails that fail get a second try with function calling."""
    strict = prompt | llm.with_structured_output(Order, method="json_schema", strict=True, include_raw=True)
    second = prompt | llm.with_structured_output(Order, method="function_calling").with_retry(stop_after_attempt=2)
    results = strict.batch([{"mail": mail} for mail in mails], config={"max_concurrency": 3}, return_exceptions=True)
    orders = []
    for mail, result in zip(mails, results, strict=True):
        if isinstance(result, Exception) or result["parsing_error"] or result["parsed"] is None:
            print("second try:", mail[:10])
            orders.append(second.invoke({"mail": mail}))
            continue
        usage = result["raw"].response_metadata.get("token_usage") or result["raw"].usage_metadata
        print("tokens:", usage["total_tokens"] > 0)
        orders.append(result["parsed"])
    return orders


def to_csv(orders: list[Order]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["order", "name", "city", "title", "copies", "due", "priority"])
    for each in orders:
        city = each.customer.city or ""
        writer.writerow([each.order, each.customer.name, city, each.title, each.copies, each.due, each.priority.value])
    return buffer.getvalue()


if __name__ == "__main__":
    print(to_csv(extract(MAILS)))
