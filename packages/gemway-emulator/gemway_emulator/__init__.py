"""A local Gemini-native gateway with Bearer auth: for tests, demos and offline work."""

from gemway_emulator import reply
from gemway_emulator._emulator import Emulator, record
from gemway_emulator._journal import Entry
from gemway_emulator._misbehaviour import MISBEHAVIOURS
from gemway_emulator._request import Request

__all__ = ["Emulator", "Entry", "MISBEHAVIOURS", "Request", "record", "reply"]
