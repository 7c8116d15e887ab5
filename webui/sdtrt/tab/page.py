"""The tab in a web UI with gradio 3 or 4: an empty place, which the page's own JavaScript fills."""
from __future__ import annotations

from typing import Any

import gradio as gr

from . import routes
from .desk import Desk
from .feed import Feed

PLACE = '<div id="sdtrt_tab"><p id="sdtrt_status">This needs the JavaScript of the page: load it anew.</p></div>'


class Tab:
    def __init__(self, desk: Desk) -> None:
        self.feed = Feed(desk)

    def on_ui_tabs(self) -> list[tuple[Any, str, str]]:
        """Returns the tab in the web UI's form."""
        with gr.Blocks(analytics_enabled=False) as tab:
            gr.HTML(PLACE)
        return [(tab, "TensorRT", "sdtrt")]

    def on_app_started(self, demo: Any, app: Any) -> None:
        """The web UI has started, or has been reloaded, and has another server."""
        routes.add(self.feed, demo, app)
