"""`python -m fspop`: the same as the command `fspop`."""

from fspop.cli.app import main

if __name__ == "__main__":
    main()
