"""`python -m finchain` is the command `finchain`."""

from finchain.cli import main

main()
