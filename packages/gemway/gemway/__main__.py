"""`python -m gemway` is the command `gemway`."""

from gemway.cli import main

main()
