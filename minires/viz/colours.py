"""The colours of players and pictures, by what they say."""

from __future__ import annotations

COLOURS: dict[str, tuple[str, str]] = {
    "ink": ("#1f2328", "#e8e6e1"),
    "soft": ("#57606a", "#aab1ba"),
    "rule": ("#c3cad2", "#4b525d"),
    "page": ("#ffffff", "#16191e"),
    "panel": ("#f5f6f8", "#22262d"),
    "forward": ("#1b5fae", "#82bbf5"),
    "forward-wash": ("#e1edfa", "#1b344f"),
    "backward": ("#b03c0a", "#ffa175"),
    "backward-wash": ("#fde7db", "#4d2817"),
    "now": ("#8a5d00", "#f0c548"),
    "now-wash": ("#fff2c4", "#4a3b0b"),
    "path-0": ("#1b5fae", "#82bbf5"),
    "path-1": ("#c2410c", "#ffa175"),
    "path-2": ("#1a7f37", "#56d364"),
    "path-3": ("#8250df", "#d2a8ff"),
}
"""Each role's colour on a light and on a dark page."""

SIGNED = "PuOr_r"
"""matplotlib's map for values around 0: negative ones purple, positive ones orange."""

SHARE = "Blues"
"""For shares from 0 to 1."""

HEAT = "inferno"
"""For what is nowhere negative, laid over a grey image."""

HEIGHT = "viridis"
"""For a surface seen from above."""
