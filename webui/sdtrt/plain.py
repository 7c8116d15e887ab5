"""Text from elsewhere, such as the name of a file, as it may be shown."""
from __future__ import annotations

import unicodedata
from functools import lru_cache

# Control and format characters, those that nobody has given a meaning, and line and paragraph separators.
HIDDEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
# Letters and marks without a form.
FORMLESS = {0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810)}
FORMLESS |= set(range(0xE0000, 0xE1000))


def visible(text: object) -> str:
    """With what is not seen, or changes how the rest is, written out."""
    return _visible(str(text))


@lru_cache(maxsize=1 << 14)
def _visible(text: str) -> str:
    """The tab shows the same few thousand again and again."""
    return "".join(f"\\u{{{ord(c):x}}}" if is_hidden(c) else c for c in text)


def is_hidden(c: str) -> bool:
    return unicodedata.category(c) in HIDDEN or ord(c) in FORMLESS
