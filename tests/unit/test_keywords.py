"""Keywords: the whole message is one, or it is none; a sentence with a stop in it goes to a person."""

from __future__ import annotations

import pytest

from mercuri.core.keywords import read_message


@pytest.mark.parametrize(
    "text",
    [
        *(
            "STOP",
            "stop",
            " Stop. ",
            "Stop!!!",
            "«STOP»",
            "ＳＴＯＰ",
            "S.T.O.P",
            "stop 🙏",
            "🛑 STOP 🛑",
            "st\u200bop",
            "Stop\n",
        ),
        *(
            "STOPALL",
            "Stop all",
            "UNSUBSCRIBE",
            "cancel",
            "End",
            "quit",
            "revoke",
            "OPTOUT",
            "opt out",
            "Opt-Out",
            "remove",
            "TD",
        ),
        *("ARRET", "ARRÊT", "arrêt", "ARRE\u0302T", "désabonner", "Se désabonner"),
        *("BAJA", "Dar de baja", "alto", "cancelar", "parar"),
        *("SAIR", "Pare", "Cancelar inscrição", "descadastrar"),
    ],
)
def test_an_out_word_alone_is_an_opt_out(text: str) -> None:
    assert read_message(text) == "out"


@pytest.mark.parametrize("text", ["START", "unstop", "Subscribe!", " start "])
def test_three_words_open(text: str) -> None:
    assert read_message(text) == "in"


@pytest.mark.parametrize("text", ["HELP", "info", "Help?"])
def test_help_is_neutral(text: str) -> None:
    assert read_message(text) == "neutral"


def test_yes_opens_only_as_the_answer_to_a_double_opt_in() -> None:
    assert read_message("Yes") == "none"
    assert read_message("Yes", awaits_yes=True) == "in"
    assert read_message("yes of course", awaits_yes=True) == "none"


@pytest.mark.parametrize(
    "text",
    [
        *("please stop", "STOP texting me", "stop stop", "don't stop", "Please leave me alone", "Don’t text me again"),
        *(
            "do not contact me",
            "take me off your list",
            "remove me",
            "I want to unsubscribe",
            "opt me out please",
            "wrong number",
        ),
        *("arrêtez svp", "quiero darme de baja", "não quero receber mais"),
    ],
)
def test_a_sentence_that_suggests_a_stop_goes_to_a_person(text: str) -> None:
    assert read_message(text) == "looks_like_stop"


@pytest.mark.parametrize(
    "text",
    [
        *("", "   ", "🙂", "...", "hello", "Can I cancel my Tuesday appointment?", "see you at the end of the week"),
        *(
            "non-smoking room",
            "startup",
            "I'll start on Monday",
            "remove the sofa please",
        ),
        *("helpful, thanks", "unstoppable", "weekend", "yes"),
    ],
)
def test_ordinary_talk_says_nothing(text: str) -> None:
    assert read_message(text) == "none"


def test_a_workspace_adds_words_and_takes_none_away() -> None:
    assert read_message("Genug!", extra_out=["genug"]) == "out"
    assert read_message("Schluss jetzt", extra_out=["Schluß jetzt!"]) == "out"
    assert read_message("stop", extra_out=["genug"]) == "out"
    assert read_message("start", extra_out=["start"]) == "out"
    assert read_message("", extra_out=["!"]) == "none"
