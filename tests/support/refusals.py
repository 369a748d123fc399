"""What a user sees of an error, and that no secret is in it."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import pytest

KEY = "sk-very-secret-0123456789"
ADDRESS = "https://gateway.example"


def refusal(call: Callable[[], object], kind: type[Exception] | tuple[type[Exception], ...]) -> str:
    """Return the message of the error that *call* raises; the key is nowhere in what is printed of it."""
    with pytest.raises(kind) as caught:
        call()
    assert KEY not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)
