"""kvq's exception."""


class Error(ValueError):
    """What kvq refuses: one line that names the file, the layer or the argument."""

    __module__ = "kvq"
