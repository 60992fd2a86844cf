"""`python -m seqsweep` is the command `seqsweep`."""

from seqsweep.cli.app import main

if __name__ == "__main__":
    main()
