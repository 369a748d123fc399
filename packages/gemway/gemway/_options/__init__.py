"""What options are called, and where they go on the wire."""

from gemway._options.names import ALIASES, IGNORED, OPTIONS, REFUSED, canonical, override

__all__ = ["ALIASES", "IGNORED", "OPTIONS", "REFUSED", "canonical", "override"]
