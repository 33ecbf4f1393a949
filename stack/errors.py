"""What ends a command of the stack."""


class StackError(Exception):
    """
    A reason not to go on, told to the person at the terminal in one line that says what to do.

    Attributes:
        status: The command's exit status; 2 where the start was refused.
    """

    def __init__(self, line: str, status: int = 2) -> None:
        super().__init__(line)
        self.status = status
