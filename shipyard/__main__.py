"""`python -m shipyard` is the same program as `shipyard`."""

from shipyard.cli.main import main

if __name__ == "__main__":
    main()
