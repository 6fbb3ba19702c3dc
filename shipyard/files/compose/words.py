r"""Splitting a command written as text into words, as Compose does: quotes as in a shell, but no shell.

It differs from a shell in small things, which files rely on: `\n` and `\t` outside of single quotes are a newline and
a tab, any other backslash just goes, and what stands between backquotes or in `$( )` stays one word as it is.
"""

from __future__ import annotations

_SPACE = " \t\r\n"
_OPERATORS = ";&|<>"
_ESCAPES = {"n": "\n", "t": "\t"}


def split(text: str) -> tuple[str, ...]:
    """The words. Raises ValueError for an open quote, and for an operator, at which Compose would silently stop."""
    words: list[str] = []
    word: str | None = None
    quote = ""
    characters = iter(text)
    for char in characters:
        if char == "\\" and quote != "'":
            escaped = next(characters, None)
            if escaped is None:
                raise ValueError("ends with a backslash")
            word = (word or "") + _ESCAPES.get(escaped, escaped)
        elif quote:
            quote, kept = _within(quote, char)
            word = (word or "") + kept
        elif char in _SPACE:
            if word is not None:
                words.append(word)
            word = None
        elif char in "'\"":
            quote, word = char, word or ""
        elif char in _OPERATORS:
            raise ValueError(f"holds {char} outside of quotes, which only a shell would understand")
        elif char == "(" and not (word or "").endswith("$"):
            raise ValueError("holds ( outside of quotes, which only a shell would understand")
        else:
            quote = {"`": "`", "(": ")"}.get(char, "")
            word = (word or "") + char
    if quote:
        raise ValueError(f"holds a {'$(' if quote == ')' else quote} that is never closed")
    return (*words, word) if word is not None else tuple(words)


def _within(quote: str, char: str) -> tuple[str, str]:
    """The quote that is open after this character, and what of it belongs to the word."""
    if char != quote:
        return quote, char
    return "", char if quote in "`)" else ""
