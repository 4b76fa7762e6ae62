"""Samples of a time and how they are shown."""

import dataclasses
import statistics


@dataclasses.dataclass
class Samples:
    """Seconds of one thing measured several times."""

    minimum: float
    median: float
    runs: int

    @classmethod
    def of(cls, seconds):
        return cls(min(seconds), statistics.median(seconds), len(seconds))

    @classmethod
    def read(cls, entry):
        """From what kvq's own programs print."""
        return cls(entry["min"], entry["median"], entry["runs"])

    def ms(self, which="median"):
        return milliseconds(getattr(self, which))


def milliseconds(seconds):
    """Text with about three digits, for a table."""
    value = seconds * 1e3
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def ratio(of, to):
    return f"{of / to:.1f}×"
