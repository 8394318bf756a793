"""How options that name a file or a folder are read. What is wrong with it is said by the room that opens it."""

from pathlib import Path

from liveavatar.errors import OptionError

PATH_METAVAR = "<path>"
"""What the help shows for the value of such an option."""


def parse_path(text: str | Path) -> Path:
    """The path that an option names.

    Raises:
        OptionError: it is empty, which `Path` takes for the current folder.
    """
    if not str(text):
        raise OptionError(
            "the name of a file or folder is empty", "write it; perhaps a variable of the shell is not set"
        )
    return Path(text)
