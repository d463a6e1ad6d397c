"""What an incoming message says about consent: the whole message is a keyword, or it is none.

The English out words are those of US rules (47 CFR 64.1200(a)(10)) and of the carriers; French, Spanish and Portuguese
ones stand beside them. A workspace can add out words and can take none away. Only three words open.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

OUT_WORDS = frozenset(
    {
        *("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "remove", "arret", "td"),
        *("arreter", "desabonner", "desabonnement", "se desabonner", "desinscrire", "desinscription"),  # French
        *("alto", "baja", "dar de baja", "darme de baja", "cancelar", "detener", "parar", "pare"),  # Spanish
        *("sair", "remover", "descadastrar", "cancelar inscricao", "desinscrever"),  # Portuguese
    }
)
IN_WORDS = frozenset({"start", "unstop", "subscribe"})
NEUTRAL_WORDS = frozenset({"help", "info"})

#: Words and phrases which, inside a longer message, suggest that the person wants no more: sending pauses until
#: someone of the team has read it. Words of ordinary talk (cancel, end, remove, quit) count in clear phrases only.
_STOPPING = (
    *(
        "stop",
        "stopp",
        "stopall",
        "stopping",
        "unsubscribe",
        "unsubscribed",
        "optout",
        "opt out",
        "opt me out",
        "revoke",
    ),
    *("remove me", "remove my", "take me off", "leave me alone", "lose my number", "delete my number", "wrong number"),
    *("no more texts", "no more messages", "no more sms", "quit texting", "quit messaging", "not interested", "spam"),
    *("don t text", "don t message", "don t contact", "don t call", "don t send", "dont text", "dont message"),
    *("dont contact", "dont send", "do not text", "do not message", "do not contact", "do not send", "cease"),
    *("arret", "arretez", "arreter", "desabonner", "desabonnez", "desinscrire", "laissez moi tranquille"),
    *("dar de baja", "darme de baja", "de baja", "no me escriban", "no me escriba", "dejen de", "no mas mensajes"),
    *("descadastrar", "parem", "pare de", "me remova", "nao quero receber", "nao me mande", "sair da lista"),
)


def read_message(text: str, extra_out: Collection[str] = (), *, awaits_yes: bool = False) -> str:
    """What the message says: `out`, `in`, `neutral`, `looks_like_stop`, or `none`.

    `extra_out` are the workspace's own out words. `awaits_yes` is true only while this address has been asked to
    confirm a subscription; without that, a "yes" is ordinary talk.

    >>> [read_message(text) for text in ("Stop!", "ARRÊT", "please stop writing", "yes", "START")]
    ['out', 'out', 'looks_like_stop', 'none', 'in']
    """
    said = fold(text)
    if not said:
        return "none"
    if _is_out(said, extra_out):
        return "out"
    if said in IN_WORDS or (awaits_yes and said == "yes"):
        return "in"
    if said in NEUTRAL_WORDS:
        return "neutral"
    padded = f" {said} "
    return "looks_like_stop" if any(f" {phrase} " in padded for phrase in _STOPPING) else "none"


def fold(text: str) -> str:
    """The message as it is compared: NFKC, no case, no accents, punctuation or emoji, single spaces.

    >>> fold("  Opt-Out, s’il vous plaît 🙏 ")
    'opt out s il vous plait'
    """
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(_kept(char) for char in plain).split())


def _is_out(said: str, extra_out: Collection[str]) -> bool:
    # Spaces do not save a stop: "opt out", "stop all" and "s t o p" are what they read as.
    words = OUT_WORDS | {fold(word) for word in extra_out}
    return said in words or said.replace(" ", "") in words


def _kept(char: str) -> str:
    category = unicodedata.category(char)
    if category[0] in "LN":
        return char
    # Accents and invisible marks vanish; whatever else separates words.
    return "" if category in ("Mn", "Me", "Cf") else " "
