"""Questions about a shop's database: an agent that lists tables, reads their schema and queries sqlite."""

import json
import os
import sqlite3

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, city TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, product TEXT, amount REAL);
INSERT INTO customers VALUES (1, 'Ada', 'London'), (2, 'Grace', 'New York'), (3, 'Linus', 'Helsinki');
INSERT INTO orders VALUES (1, 1, 'tea', 12.5), (2, 1, 'cups', 30.0), (3, 2, 'coffee', 18.0);
"""
database = sqlite3.connect(":memory:", check_same_thread=False)
database.executescript(SCHEMA)


@tool
def sql_db_list_tables() -> str:
    """List the tables of the database."""
    rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return ", ".join(name for (name,) in rows)


@tool
def sql_db_schema(table_names: list[str]) -> str:
    """Show the CREATE TABLE statements of tables, given their names."""
    rows = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
    return "\n".join(sql for name, sql in rows if name in table_names)


@tool
def sql_db_query(query: str) -> str:
    """Run a SELECT statement and return its rows as JSON. Fix the statement if an error comes back."""
    if not query.lstrip().lower().startswith("select"):
        raise ValueError("only SELECT statements are allowed")
    cursor = database.execute(query)
    names = [column[0] for column in cursor.description]
    return json.dumps([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])


TOOLS = {each.name: each for each in (sql_db_list_tables, sql_db_schema, sql_db_query)}
SYSTEM = """You are an agent designed to interact with a SQLite database. First list the tables, then look at the
schema of those that matter, then query. Never change data. Answer in words, with the numbers you found."""

llm = ChatOpenAI(model_name="gpt-4o", openai_api_key=os.environ["OPENAI_API_KEY"], max_completion_tokens=2000, seed=7)


def run_tool(call: dict) -> ToolMessage:
    try:
        return TOOLS[call["name"]].invoke(call)
    except (sqlite3.Error, ValueError) as error:
        return ToolMessage(content=f"Error: {error}", tool_call_id=call["id"], status="error")


def ask(question: str, max_steps: int = 8) -> str:
    messages = [SystemMessage(content=SYSTEM), HumanMessage(content=question)]
    # The first step has to look at the database, later ones may answer.
    choice: dict | str = {"type": "function", "function": {"name": "sql_db_list_tables"}}
    for _ in range(max_steps):
        reply = llm.bind_tools(list(TOOLS.values()), tool_choice=choice, strict=True).invoke(messages)
        choice = "auto"
        messages.append(reply)
        if not reply.tool_calls:
            return reply.content
        for call in reply.tool_calls:
            result = run_tool(call)
            print(f"  {call['name']}({call['args']}) -> {result.content}")
            messages.append(result)
    return "I could not find the answer."


if __name__ == "__main__":
    for question in ("How much did Ada spend in all?", "Which customer has no orders?"):
        print("Q:", question)
        print("A:", ask(question))
