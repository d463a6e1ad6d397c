"""E-mails: the normal form, and what has none."""

import pytest

from mercuri.core.normalise import Refused, normalise_email


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("Ana@Example.com", "ana@example.com"),
        ("  ana@example.com\n", "ana@example.com"),
        ("\ufeffana@example.com\u200b", "ana@example.com"),
        ("ana\x00@example.com", "ana@example.com"),
        ("ana@Bücher.example", "ana@xn--bcher-kva.example"),
        ("ana@xn--bcher-kva.example", "ana@xn--bcher-kva.example"),
        ("JOSE\u0301@example.com", "jos\u00e9@example.com"),
        ("Strauß@example.com", "strauss@example.com"),
        ("a.n.a+tag@gmail.com", "a.n.a+tag@gmail.com"),
        ("ana@portal.test", "ana@portal.test"),
        ("noemail@example.com", "noemail@example.com"),
    ],
)
def test_an_email_has_one_normal_form(raw, normal):
    assert normalise_email(raw) == normal


@pytest.mark.parametrize(
    "raw",
    [
        "ana",
        "ana@",
        "@example.com",
        "ana@@example.com",
        "ana..b@example.com",
        ".ana@example.com",
        "ana@-example.com",
        "ana@example",
        "ana@corp.local",
        "ana@[192.0.2.1]",
        '"ana b"@example.com',
        "Ana <ana@example.com>",
        "ana@example.com, bo@example.com",
        "ana@" + "a" * 64 + ".com",
    ],
)
def test_what_is_no_email_is_refused(raw):
    assert normalise_email(raw) == Refused("not a valid e-mail")


def test_a_refusal_of_nothing_or_of_prose_says_so():
    assert normalise_email(" \x00") == Refused("empty")
    assert normalise_email("a" * 65_536) == Refused("too long to be an e-mail")
