"""Streams as frameworks have them."""

import sys

from kvq._error import Error


def _current(tensor, ordinal):
    """The stream on which the framework of `tensor` puts its own work, as an address; the default stream where that is not known."""
    framework = type(tensor).__module__.partition(".")[0]
    if framework == "torch":
        return sys.modules["torch"].cuda.current_stream(ordinal).cuda_stream
    if framework == "cupy":
        return sys.modules["cupy"].cuda.get_current_stream().ptr
    return 0


def address(stream, tensor, ordinal):
    """The address of a CUstream or hipStream_t.

    `stream` is a number, a stream of torch (`cuda_stream`), of cupy (`ptr`) or of what has `__cuda_stream__`; None is the current one of the
    framework that `tensor` is of.
    """
    if stream is None:
        return _current(tensor, ordinal)
    for name in ("cuda_stream", "ptr"):
        value = getattr(stream, name, None)
        if isinstance(value, int):
            return value
    if hasattr(stream, "__cuda_stream__"):
        return stream.__cuda_stream__()[1]
    try:
        return stream.__index__()
    except AttributeError:
        raise Error(f"expected 'stream' to be a stream or its address, but got '{type(stream).__name__}'") from None
