"""JSON Schemas in the two dialects that Gemini reads; each module is one step of the conversion."""

from gemway._schema.conversion import (
    Dialect,
    function_declaration,
    inline_root_reference,
    response_schema,
    to_schema,
)

__all__ = ["Dialect", "function_declaration", "inline_root_reference", "response_schema", "to_schema"]
