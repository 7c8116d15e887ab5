"""A web UI in a real browser: its tab 'TensorRT', and what happens when it reloads while that is open."""
import time
from contextlib import contextmanager

from playwright.sync_api import sync_playwright

# Milliseconds and seconds; far longer than anything here takes.
PATIENCE_MS, RELOAD_S, PRESS_S, SETTLE_S = 300_000, 300, 60, 5


@contextmanager
def opened(server, chromium, ours=True):
    """Yields two pages of the web UI: one with the tab 'TensorRT' in view, if it has our extension, and one to press
    buttons in."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
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
    """Notes the page's sockets."""
    page.sockets = found = []
    page.on("websocket", lambda socket: found.append(socket))


def load(server, page):
    """Loads the web UI, and waits until its own first events are done."""
    page.sockets.clear()
    page.goto(server.address)
    settle(page)


def settle(page):
    """Waits until no event of the page is in gradio's queue, each of which has a socket. Where one waits there, such as
    A1111's own for its cards, the web UI reloads and ends no more, without any extension."""
    page.wait_for_load_state("networkidle")
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


def updates(page, seconds):
    """Returns how often the page asks for an update in this time."""
    count = 0

    def note(request):
        nonlocal count
        count += request.method == "POST" and "predict" in request.url

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
    pressing.sockets.clear()
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
