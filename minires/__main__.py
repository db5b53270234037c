"""`python -m minires`: the command line where `minires` itself is not on the path."""

from minires.cli import main

main()
