"""`python -m liveavatar` is the command line."""

from liveavatar.cli import main

if __name__ == "__main__":
    main()
