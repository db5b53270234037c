"""Text from a file, a folder's name or a stranger, made fit to be shown.

A terminal obeys what is written to it: escape sequences move its cursor, set its title or paste
into its input, and marks for right-to-left scripts turn the rest of a line around. Here they become
visible, as Python writes them in a string.
"""

from __future__ import annotations


def shown(text: str, most: int = 100) -> str:
    """A name as a message quotes it: short, on one line, nothing that moves a cursor."""
    shortened = text if len(text) <= most else text[:most] + "..."
    return shortened if shortened.isprintable() else ascii(shortened)


def plain(text: str) -> str:
    """The text with everything escaped that does not simply print, but for spaces and tabs."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else ascii(c)[1:-1] for c in text)


def bounded(text: str, most: int) -> str:
    """The text, plain and of at most `most` characters; both ends stay."""
    if len(text) > 2 * most:
        text = text[:most] + text[-most:]  # what is between would be left out below
    text = plain(text)
    if len(text) <= most:
        return text
    end = (most - 3) // 4
    return f"{text[: most - 3 - end]}...{text[len(text) - end :]}"
