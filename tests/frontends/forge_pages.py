"""A web UI of Forge's family in a real browser: the tab 'TensorRT', and what happens when it reloads while that is
open."""
import time

import pages


def check(server, chromium, reloads, ours=True):
    """Yields what was done, and how it went; without our extension, with another tab open. Raises AssertionError where
    it went wrong."""
    with pages.opened(server, chromium, ours) as (watching, pressing):
        if ours:
            count = pages.asks(watching, 10)
            assert count == 0, f"the idle tab asked {count} times in 10 s"
            yield "what the idle tab asks in 10 s", count
        begin = time.monotonic()
        times = [pages.reload(server, watching, pressing, ours) for _ in range(reloads)]
        longest = max(times, default=0)
        yield "reloads", f"{len(times)} in {time.monotonic() - begin:.0f} s, up to {longest:.1f} s each"
        begin = time.monotonic()
        server.ask("server-stop", {})
        yield "server-stop with the tab open", f"{server.closed(begin):.1f} s"
