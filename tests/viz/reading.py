"""Reading a player as its reader does: the numbers in its texts."""

import html
import re

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def numbers(text):
    """Every number of a text or a piece of HTML, in order; those inside names are left out."""
    text = html.unescape(re.sub(r"<[^>]*>", " ", text)).replace("−", "-")
    text = re.sub(r"×10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)", lambda m: "e" + m.group(1).translate(_SUPERSCRIPTS), text)
    return [float(n) for n in re.findall(r"(?<![\w₀-₉.])-?\d+(?:\.\d+)?(?:e-?\d+)?(?!\w)", text)]


def shown(player, key, step=-1):
    """The text of one part of the drawing at a step."""
    index = range(len(player))[step]
    return player.state(index).text.get(key, "")


def boxes(player):
    """By a box's heading its number, from the drawing itself."""
    found = {}
    for part, following in zip(player.scene.parts, player.scene.parts[1:], strict=False):
        key = getattr(part, "key", "")
        if key.startswith("box"):
            found[following.text.partition(" = ")[0]] = int(key.removeprefix("box"))
    return found
