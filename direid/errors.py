"""The one exception that a user is meant to see, and others in a line."""


class DireidError(Exception):
    """A mistake that the user can mend.

    The message is one line that names the file or value at fault and what was expected. The command
    line prints it and exits with code 2; a notebook shows it like any exception.
    """


def one_line(error: Exception) -> str:
    """The kind of an error and what it says, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".removesuffix(": ")
