"""`python -m noiseda` is the command line."""

from noiseda.cli import main

if __name__ == "__main__":
    main()
