"""Tests the tab in a real browser with a real daemon: clicks build, waits for the end, and takes a screenshot.
`python3 -m tests.browser PROGRAMS CHECKPOINT TENSORRT CHROMIUM PICTURE` in `webui/`, where PROGRAMS is the folder
of sdtrtd, sdtrtctl and sdtrt-worker, CHECKPOINT a golden one and TENSORRT the folder of its libraries. Needs
gradio 3.41.2, the web UI's version, and playwright.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import gradio
from playwright.sync_api import sync_playwright

from sdtrt.a1111 import hooks

from .web_ui import WebUi

# Milliseconds; far longer than anything here takes.
PATIENCE = 1_500_000

# The web UI adds them to its page by itself.
STYLE = Path(__file__).parent.parent / "style.css"
SCRIPT = Path(__file__).parent.parent / "javascript/sdtrt.js"


def main():
    programs, checkpoint, tensorrt, chromium, picture = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        models, data = Path(folder, "models"), Path(folder, "data")
        (models / "photo").mkdir(parents=True)
        (models / "photo/portrait.safetensors").write_bytes(checkpoint.read_bytes())
        flags = [("--models-dir", models), ("--data-dir", data), ("--socket", data / "socket"),
                 ("--tensorrt-dir", tensorrt), ("--compute-capability", "8.9"), ("--settle-seconds", "0.2")]
        daemon = subprocess.Popen([programs / "sdtrtd", *(str(word) for pair in flags for word in pair)])
        try:
            ctl = [programs / "sdtrtctl", "--socket", data / "socket"]
            # The socket exists before the daemon replies. Then only the click may start a build.
            while subprocess.run([*ctl, "pause"], capture_output=True).returncode != 0:
                assert daemon.poll() is None, "sdtrtd has ended"
            subprocess.run([*ctl, "wait"], capture_output=True)
            look(serve(models, data), chromium, picture)
        finally:
            daemon.terminate()
            daemon.wait()


def serve(models, data):
    """Serves the tab, and returns its address."""
    WebUi(models).list_unets()
    hooks.start(data)
    from sdtrt.a1111 import tab

    # Before the page, as in the web UI: inside the page they would be shown at once.
    tabs = tab.on_ui_tabs()
    with gradio.Blocks(title="Stable Diffusion", css=STYLE.read_text()) as page, gradio.Tabs():
        for interface, title, name in tabs:
            with gradio.TabItem(title, id=name):
                interface.render()
    _, address, _ = page.queue(64).launch(prevent_thread_lock=True, quiet=True)
    return address


def look(address, chromium, picture):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 860})
        page.set_default_timeout(PATIENCE)
        page.add_init_script(path=SCRIPT)
        page.goto(address)
        seen = lambda place, text: page.locator(f"#sdtrt_{place}", has_text=text).first.wait_for()
        seen("status", "paused")
        page.click("#sdtrt_checkpoint input")
        page.click("#sdtrt_checkpoint li")
        seen("engines", "no engine yet")
        page.click("#sdtrt_build")
        seen("said", "built")
        seen("status", "%")
        seen("status", "1 ready")
        page.click("#sdtrt_refresh")
        seen("engines", "default: 512–768 pixels")
        page.screenshot(path=picture)
        page.click("#sdtrt_build")
        seen("said", "Nothing to build")
        browser.close()


if __name__ == "__main__":
    main()
