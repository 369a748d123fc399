"""The version of all six packages."""

__version__ = "0.1.0"
