"""The one exception that a user is meant to see."""


class DireidError(Exception):
    """A mistake that the user can mend.

    The message is one line that names the file or value at fault and what was expected. The command
    line prints it and exits with code 2; a notebook shows it like any exception.
    """
