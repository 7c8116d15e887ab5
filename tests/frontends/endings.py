"""How A1111's web UI reloads and ends, while its page is open in a browser: with our extension the tab 'TensorRT'."""
import signal
import time
from contextlib import nullcontext

# What the web UI says to its starter, by a file in its own folder: that it is to be started again.
RESTART = "tmp/restart"


def ways(chromium):
    """Returns each way in which it ends: its name, and what brings it about."""
    found = [
        ("SIGTERM", lambda server, page: server.process.send_signal(signal.SIGTERM)),
        ("SIGINT", lambda server, page: server.process.send_signal(signal.SIGINT)),
        ("server-stop", lambda server, page: server.ask("server-stop", {})),
        ("server-restart", lambda server, page: last_words(server, "server-restart")),
        ("server-kill", lambda server, page: last_words(server, "server-kill")),
    ]
    if chromium:
        import pages

        found.append(("Apply and restart UI", lambda server, page: pages.apply(server, page)))
    return found


def last_words(server, path):
    """Asks for something that ends the web UI before it replies."""
    try:
        server.ask(path, {})
    except OSError:
        return


def seconds_to_end(server, end, chromium, ours):
    """Starts the web UI, opens its page if there is a browser, and returns the seconds in which it ends."""
    note = server.webui / RESTART
    # 1.6 doesn't make the folder, and its request fails then.
    note.parent.mkdir(exist_ok=True)
    try:
        server.start()
        with opened(server, chromium, ours) as (_, pressing):
            begin = time.monotonic()
            end(server, pressing)
            return server.ended(begin)
    finally:
        server.close()
        note.unlink(missing_ok=True)


def opened(server, chromium, ours):
    if not chromium:
        return nullcontext((None, None))
    import pages

    return pages.opened(server, chromium, ours)


def reloads(server, chromium, count, ours):
    """Starts the web UI and reloads it as often as this; returns the seconds of each reload, or why there are fewer,
    and how often the tab asked for something in the ten seconds before and after, in which nothing changed."""
    import pages

    times, asked = [], []
    try:
        server.start()
        with pages.opened(server, chromium, ours) as (watching, pressing):
            asked.append(pages.asks(watching, 10))
            for _ in range(count):
                times.append(pages.reload(server, watching, pressing, ours))
            asked.append(pages.asks(watching, 10))
    except AssertionError as problem:
        return times, asked, str(problem)
    finally:
        server.close()
    return times, asked, None
