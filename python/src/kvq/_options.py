"""Python's keyword arguments as kvqc's options."""

import os
import re

from kvq._error import Error


def path_bytes(path):
    """A path as the file system has it."""
    return os.fsencode(path)


def _word(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    return os.fsdecode(value) if isinstance(value, (str, bytes, os.PathLike)) else str(value)


def named(options, renamed=None):
    """(name, words) of the options that are not None. `renamed` has the kvqc name of those that differ in more than the underscores."""
    result = []
    for name, value in options.items():
        if value is None:
            continue
        if not isinstance(value, (list, tuple)):
            value = [value]
        name = (renamed or {}).get(name, name.replace("_", "-"))
        result.append((name, [_word(item) for item in value]))
    return result


def call(function, *arguments, renamed=None):
    """Calls the compiler; an error speaks of Python's names where the compiler's speaks of kvqc's options."""
    back = {there: here for here, there in (renamed or {}).items()}

    def here(match):
        return "'" + back.get(match[1], match[1].replace("-", "_")) + "'"

    try:
        return function(*arguments)
    except Error as error:
        raise Error(re.sub(r"'--?([a-z]+(?:-[a-z]+)*)'", here, str(error))) from None
