"""Who may ask: our own page, and nothing else that a browser runs. Who is logged in gradio knows. Pure."""
from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

# Another page can't send it without being asked first.
HEADER = "x-sdtrt"


def is_own(headers: Mapping[str, str]) -> bool:
    """Whether our own page sent a request with these headers, which have small letters. gradio 4 lets any page send
    what it likes, with the user's cookies."""
    return HEADER in headers and is_same_site(headers)


def is_same_site(headers: Mapping[str, str]) -> bool:
    """The same for what a page shows by itself, such as a picture, and so can't have a header of its own."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        # Browsers say it of addresses with https, and of this machine's.
        return site == "same-origin"
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")
