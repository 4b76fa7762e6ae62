"""The checks of utils/check_style.py as tests, and examples that they must find."""

import sys

import pytest
from conftest import SOURCE

sys.path.insert(0, str(SOURCE / "utils"))
import check_style  # noqa: E402


@pytest.mark.parametrize("name", list(check_style.CHECKS))
def test_repository(name):
    findings = list(check_style.CHECKS[name]())
    assert not findings, "\n".join(findings)


@pytest.mark.parametrize(
    "text, good",
    [
        ("expected a file, but got 'x'", True),
        ("'kvq.scale' op expected a layer", True),
        ("FP8 needs sm_89", True),
        ("and so on...", True),
        ("Expected a file", False),
        ("expected a file.", False),
    ],
)
def test_messages(text, good):
    assert (check_style.wrong_message(text, text) is None) == good


def test_error_calls_are_found():
    call = 'return op.emitOpError("expected ") << x << " heads; got " << y << ".";'
    found = check_style.ERROR_CALL.search(call)
    assert found and check_style.LITERAL.findall(found.group()) == ["expected ", " heads; got ", "."]
