"""Tests the tab in a real browser with a real daemon and hundreds of checkpoints, and takes screenshots:
`python3 -m tests.browser PROGRAMS TENSORRT CHROMIUM PICTURES [COUNT]` in `webui/`, where PROGRAMS is the folder of
sdtrtd, sdtrtctl and sdtrt-worker, TENSORRT that of its libraries, and PICTURES one for the screenshots. Needs
playwright, and gradio 3.41.2 or 4.40.0: A1111's version, or Forge Neo's.
"""
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import gradio
from playwright.sync_api import sync_playwright

from sdtrt import a1111
from sdtrt.a1111 import hooks

from . import checkpoints
from .web_ui import WebUi

# Milliseconds; far longer than anything here takes.
PATIENCE, BUILT = 120_000, 1_500_000
# Gradio's pages ask for fonts and scripts elsewhere.
NO_NETWORK = ["--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
# The web UI adds them to its page by itself, the scripts in this order.
WEBUI = Path(__file__).parent.parent
STYLE, SCRIPTS = WEBUI / "style.css", sorted((WEBUI / "javascript").glob("*.js"))
TIMED = 20
# Draws a plot, and returns the height of its smallest letters and how many pixels of it are cut off.
PLOT = """() => {
    const speeds = [{width: 512, height: 768, batch: 8, engine: 8.9, torch: 24.1},
                    {width: 1536, height: 1536, batch: 2, engine: 149.5, torch: 122.9}];
    const plot = sdtrt.plot([{speeds}]);
    document.getElementById("sdtrt_tab").prepend(plot);
    const drawn = plot.querySelector(".sdtrt-plot"), edge = drawn.getBoundingClientRect().right;
    const texts = [...drawn.querySelectorAll("span, text")].map(text => text.getBoundingClientRect());
    plot.remove();
    return [Math.min(...texts.map(text => text.height)), Math.max(...texts.map(text => text.right)) - edge];
}"""
# Presses a button, and returns the milliseconds until its text is another.
PRESS = """button => new Promise(done => {
    const before = button.textContent, start = performance.now();
    new MutationObserver((_, observer) => {
        if (button.textContent !== before) {
            observer.disconnect();
            requestAnimationFrame(() => done(performance.now() - start));
        }
    }).observe(button, {characterData: true, childList: true, subtree: true});
    button.click();
})"""


def main():
    programs, tensorrt, chromium, pictures, *count = map(Path, sys.argv[1:])
    count = int(str(count[0])) if count else 500
    pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        models, data = Path(folder, "models"), Path(folder, "data")
        checkpoints.write(models, count)
        settings = Path(folder, "sdtrtd.toml")
        settings.touch()
        flags = [("--config", settings), ("--models-dir", models), ("--data-dir", data), ("--socket", data / "socket"),
                 ("--tensorrt-dir", tensorrt), ("--compute-capability", "8.9"), ("--settle-seconds", "0.2")]
        start = lambda: subprocess.Popen([programs / "sdtrtd", *(str(word) for pair in flags for word in pair)])
        daemon = start()
        try:
            ctl = [programs / "sdtrtctl", "--socket", data / "socket"]
            # The socket exists before the daemon replies. Then only the click may start a build.
            while subprocess.run([*ctl, "pause"], capture_output=True).returncode != 0:
                assert daemon.poll() is None, "sdtrtd has ended"
            subprocess.run([*ctl, "wait"], capture_output=True)
            served, address = serve(models, data)
            with opened(address, chromium) as page:
                look(page, count, pictures)
                stop(daemon)
                gone(page)
                daemon = start()
                back(page, count)
                reload(page, served)
        finally:
            stop(daemon)


def stop(daemon):
    daemon.terminate()
    daemon.wait()


def serve(models, data):
    """Serves the tab beside another one; returns gradio's page and its address."""
    webui = WebUi(models)
    webui.list_unets()
    hooks.start(data)
    webui.keep(sorted(map(str, models.rglob("*.safetensors")))[0])
    from sdtrt.a1111 import tab

    # Before the page, as in the web UI: inside the page they would be shown at once.
    tabs = tab.page.on_ui_tabs()
    with gradio.Blocks(title="Stable Diffusion", css=STYLE.read_text()) as served, gradio.Tabs():
        with gradio.TabItem("txt2img"):
            gradio.Textbox(label="Prompt")
        for interface, title, name in tabs:
            with gradio.TabItem(title, id=name):
                interface.render()
    app, address, _ = served.queue().launch(prevent_thread_lock=True, quiet=True)
    tab.page.on_app_started(served, app)
    return served, address


@contextmanager
def opened(address, chromium):
    """Yields a page with the tab in view, and what it has asked the tab's routes."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", *NO_NETWORK])
        page = browser.new_page(viewport={"width": 1100, "height": 860})
        page.set_default_timeout(PATIENCE)
        page.asked = []
        page.on("request", lambda request: "/sdtrt/" in request.url and page.asked.append(request.url))
        page.on("pageerror", lambda error: sys.exit(f"the page failed: {error}"))
        for script in SCRIPTS:
            page.add_init_script(path=script)
        page.goto(address)
        yield page
        browser.close()


def look(page, count, pictures):
    place = lambda name: page.locator(f"#sdtrt_{name}")
    seen = lambda name, text: place(name).filter(has_text=text).first.wait_for()
    open_tab(page, "TensorRT")
    begin = time.monotonic()
    page.wait_for_function(f"document.querySelectorAll('.sdtrt-row').length === {count}")
    print(f"{count} rows after {(time.monotonic() - begin) * 1000:.0f} ms")
    seen("waits", "Paused until you resume it")
    presets(page, place, seen)
    first = page.locator(".sdtrt-row").first
    first.locator("[data-do=build]").click()
    seen("said", "built")
    page.locator(".sdtrt-jobs progress").first.wait_for()
    page.screenshot(path=pictures / "building.png")
    place("resume").click()
    place("waits").filter(has_text="Nothing to do").wait_for(timeout=BUILT)
    page.wait_for_function(f"document.querySelectorAll('[data-state=ready]').length === {count}")
    timed(page)
    idle(page)
    keyboard(page)
    removed(page, seen)
    paused(page, place, seen)
    last(page, seen)
    pictured(page, pictures)


def open_tab(page, name):
    page.locator("button", has_text=name).first.click()


def timed(page):
    """From a click to its effect on the page."""
    buttons = page.locator(".sdtrt-row [data-do=pin]")
    # Each does to the engines of all what the one before has undone.
    times = [buttons.nth(3).evaluate(PRESS) for _ in range(TIMED)]
    print(f"a click has its effect after {statistics.median(times):.0f} ms, at most {max(times):.0f} ms")


def idle(page):
    page.asked.clear()
    page.wait_for_timeout(10_000)
    assert page.asked == [], page.asked
    open_tab(page, "txt2img")
    page.wait_for_timeout(1000)
    open_tab(page, "TensorRT")
    page.wait_for_timeout(1000)
    assert [url.rpartition("/")[2] for url in page.asked] == ["changes"], page.asked
    print("no request while nothing changes; one after somebody comes back")


def keyboard(page):
    """Finds a checkpoint, opens it and pins it, without a mouse."""
    focused = "document.activeElement.closest('.sdtrt-row')?.querySelector('.sdtrt-name').textContent"
    page.locator("#sdtrt_find").focus()
    page.keyboard.type("cobalt")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    one = page.evaluate(focused)
    page.keyboard.press("ArrowDown")
    other = page.evaluate(focused)
    assert one and other and one != other and "cobalt" in other, (one, other)
    page.keyboard.press("Enter")
    page.locator(".sdtrt-engines li").first.wait_for()
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.textContent === 'Unpin'")
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.textContent === 'Pin'")
    assert page.evaluate(focused) == other, "the focus stays while the row is updated"


def presets(page, place, seen):
    """Those of one name are told apart, and nothing is said of a cost that nobody knows yet."""
    place("presets_open").click()
    seen("cost", "not known until one was built")
    options = place("preset").locator("option").all_inner_texts()
    assert len(set(options)) == len(options), options
    place("preset").select_option(label=next(each for each in options if each.startswith("default (SDXL)")))
    chosen = place("preset").evaluate("list => list.selectedOptions[0].textContent")
    assert chosen.startswith("default (SDXL)"), chosen
    page.keyboard.press("Escape")
    place("presets").wait_for(state="detached")
    assert page.evaluate("document.activeElement.id") == "sdtrt_presets_open"


def removed(page, seen):
    """Removes an engine, takes that back, and removes it again."""
    remove = page.locator(".sdtrt-engines button", has_text="Remove")
    count = remove.count()
    remove.last.click()
    page.locator("dialog button", has_text="Keep it").click()
    remove.last.click()
    page.locator("dialog button", has_text="Remove").click()
    page.locator(".sdtrt-leaving button", has_text="Undo").click()
    seen("said", "stays")
    remove.last.click()
    page.locator("dialog button", has_text="Remove").click()
    seen("said", "Removed.")
    page.wait_for_function(f"document.querySelectorAll('.sdtrt-engines .sdtrt-stop').length === {count - 1}")


def paused(page, place, seen):
    """Pauses and resumes, where the focus stays with what can be pressed."""
    focused = "document.activeElement.id"
    place("pause").focus()
    page.keyboard.press("Enter")
    seen("waits", "Paused")
    assert page.evaluate(focused) == "sdtrt_resume"
    page.keyboard.press("Enter")
    seen("waits", "Nothing to do")
    assert page.evaluate(focused) == "sdtrt_pause_hour"


def gone(page):
    """The daemon has stopped: a page that is open says so, and so does one that is opened now."""
    page.locator("#sdtrt_status", has_text="no sdtrtd").wait_for()
    other = page.context.browser.new_page()
    for script in SCRIPTS:
        other.add_init_script(path=script)
    other.goto(page.url)
    open_tab(other, "TensorRT")
    other.locator("#sdtrt_tab[data-lost]").wait_for()
    other.locator("#sdtrt_status", has_text="no sdtrtd").wait_for()
    other.close()


def back(page, count):
    """It has started again, with nothing else to tell."""
    page.locator("#sdtrt_status", has_text=f"{count} ready").wait_for()
    page.locator("#sdtrt_tab:not([data-lost])").wait_for()


def last(page, seen):
    """A picture that PyTorch computed: what the console says is said here too."""
    from sdtrt.a1111 import tab

    tab.desk.last.begin()
    a1111.say("2304×1280, batch 2, 77 tokens: dynamic takes width 512–2048. PyTorch computes it")
    seen("last", "dynamic takes width 512–2048")
    page.locator(".sdtrt-mend").first.wait_for()


def pictured(page, pictures):
    page.locator("#sdtrt_find").fill("cobalt")
    page.screenshot(path=pictures / "tab.png")
    page.evaluate("document.body.classList.add('dark')")
    page.screenshot(path=pictures / "dark.png")
    page.set_viewport_size({"width": 380, "height": 800})
    page.screenshot(path=pictures / "narrow.png")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 380, f"{wide} pixels in a narrow window"
    height, cut = page.evaluate(PLOT)
    assert height > 10 and cut < 1, f"the plot's letters are {height} pixels high, and {cut} of it are cut off"
    page.locator("#sdtrt_presets_open").click()
    page.locator("#sdtrt_covered tr").first.wait_for()
    assert page.evaluate("document.querySelector('#sdtrt_presets').scrollWidth <= 380"), "the presets are cut off"
    page.keyboard.press("Escape")
    page.evaluate("document.body.classList.remove('dark')")
    page.set_viewport_size({"width": 1100, "height": 860})


def reload(page, served):
    """The web UI reloads with the tab open: its stream ends, and the page asks for nothing until it is told to."""
    page.asked.clear()
    begin = time.monotonic()
    served.close()
    print(f"the web UI closed after {time.monotonic() - begin:.1f} s with the tab open")
    page.locator("#sdtrt_connect").wait_for()
    page.wait_for_timeout(5000)
    assert page.asked == [], page.asked


if __name__ == "__main__":
    main()
