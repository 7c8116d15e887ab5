"""A web UI in a real browser: its tab 'TensorRT', and what happens when it reloads while that is open."""
import time
from contextlib import contextmanager

from playwright.sync_api import sync_playwright

# Milliseconds and seconds; far longer than anything here takes.
PATIENCE_MS, RELOAD_S, PRESS_S, SETTLE_S, QUIET_S = 300_000, 300, 60, 5, 1
# Gradio's pages ask for fonts and scripts elsewhere, and wait for minutes where a network swallows that.
NO_NETWORK = ["--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


@contextmanager
def opened(server, chromium, ours=True):
    """Yields two pages of the web UI: one with the tab 'TensorRT' in view, if it has our extension, and one to press
    buttons in."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", *NO_NETWORK])
        watching, pressing = (browser.new_page(viewport={"width": 1100, "height": 860}) for _ in range(2))
        for page in (watching, pressing):
            page.set_default_timeout(PATIENCE_MS)
            # After 'Reload UI' its own page asks twice a second whether the server is there. Where that is asked while
            # A1111 sets up its server, this ends ('Cannot add middleware'), without any extension. Playwright passes a
            # request on only while something is asked of it: so this one waits until the UI has started.
            page.route("**/internal/ping", lambda route: route.continue_())
            listen(page)
            load(server, page)
        show(watching, ours)
        yield watching, pressing
        browser.close()


def listen(page):
    """Notes the page's sockets, and its requests that are not answered yet."""
    page.sockets, page.asked = found, asked = [], []
    page.on("websocket", lambda socket: found.append(socket))
    # Gradio 4 has one that lasts as long as the page, and one for its queue that at times is never closed; our tab has
    # one that lasts as long as someone looks.
    lasting = ("/heartbeat/", "/queue/data", "/sdtrt/changes")
    page.on("request", lambda request: any(part in request.url for part in lasting) or asked.append(request))
    for event in ("requestfinished", "requestfailed"):
        page.on(event, lambda request: request in asked and asked.remove(request))
    # Nobody says of a page's requests that they ended with it. Forge Neo's loads itself anew at first.
    page.on("framenavigated", lambda frame: frame == page.main_frame and forget(page))


def load(server, page):
    """Loads the web UI, and waits until its own first events are done."""
    forget(page)
    page.goto(server.address)
    settle(page)


def forget(page):
    """What is noted of a page that has gone."""
    page.sockets.clear()
    page.asked.clear()


def settle(page):
    """Waits until no event of the page is in gradio's queue, each of which has a socket. Where one waits there, such as
    A1111's own for its cards, the web UI reloads and ends no more, without any extension."""
    page.locator("#tabs > .tab-nav > button").first.wait_for()
    quiet, end = time.monotonic(), time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < quiet + QUIET_S:
        page.wait_for_timeout(50)
        quiet = time.monotonic() if page.asked else quiet
        assert time.monotonic() < end, f"the page still waits for {page.asked[0].url}"
    end = time.monotonic() + SETTLE_S
    # Of some sockets Playwright never says that they are closed.
    while not all(socket.is_closed() for socket in page.sockets) and time.monotonic() < end:
        page.wait_for_timeout(50)


def show(page, ours=True):
    """Opens the tab 'TensorRT', and waits until it says something; without our extension some other tab."""
    if not ours:
        tab(page, "PNG Info").click()
        return
    tab(page, "TensorRT").click()
    page.locator("#sdtrt_status", has_text="sdtrtd").first.wait_for()


def asks(page, seconds):
    """Returns how often the tab asks for something in this time, in which nothing changes."""
    count = 0

    def note(request):
        nonlocal count
        count += "/sdtrt/" in request.url

    page.on("request", note)
    page.wait_for_timeout(seconds * 1000)
    page.remove_listener("request", note)
    return count


def reload(server, watching, pressing, ours=True):
    """Presses 'Reload UI' while the tab is in view in another page; returns the seconds until the UI is there again,
    and the tab with it."""
    starts = server.starts()
    while not restarts(server, pressing):
        # On a slow machine A1111's page loads itself anew before its own request is sent.
        ready(pressing)
    begin = time.monotonic()
    server.wait(starts + 1, RELOAD_S)
    seconds = time.monotonic() - begin
    forget(pressing)
    ready(pressing)
    load(server, watching)
    show(watching, ours)
    return seconds


def restarts(server, pressing):
    """Presses the button; returns whether the web UI has begun to restart within a while."""
    before, end = server.said("Restarting UI..."), time.monotonic() + PRESS_S
    pressing.evaluate("window.isOld = true")
    press(pressing, "Settings", "#settings_restart_gradio")
    while server.said("Restarting UI...") == before:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def ready(pressing):
    """Waits until the page has loaded itself anew, which it does once it sees the server."""
    pressing.wait_for_function("!window.isOld && document.querySelector('#tabs > .tab-nav > button')")
    settle(pressing)


def apply(server, pressing):
    """Presses 'Apply and restart UI', which ends the web UI for its starter to start it again; returns the seconds
    that this takes."""
    begin = time.monotonic()
    press(pressing, "Extensions", "#extensions_installed_top button.primary")
    return server.ended(begin)


def tab(page, name):
    return page.locator("#tabs > .tab-nav > button", has_text=name).first


def press(page, name, button):
    """Presses a button in another tab."""
    tab(page, name).click()
    page.locator(button).first.click()
