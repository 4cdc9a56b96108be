"""`python -m loadtests.cli`: the command without its console script."""

from loadtests.cli import main

main()
