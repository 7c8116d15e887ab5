"""The node in ComfyUI's own page, in a real browser."""
import json

from playwright.sync_api import sync_playwright

PATIENCE_MS = 600_000
IS_READY = "window.app && window.app.graph && window.app.extensionManager"
# ComfyUI's page adds its own nodes a while after it is there.
IS_KNOWN = "kind => kind in (window.LiteGraph?.registered_node_types ?? {})"


def run(server, chromium, workflow, replaced, node):
    """Loads an example workflow with other names of files and runs it as the first job. Returns what the page shows of
    each node and of errors, and how many pictures were made."""
    graph = json.loads(workflow.read_text())
    for each in graph["nodes"]:
        each["widgets_values"] = [replaced.get(value, value) for value in each.get("widgets_values", [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--use-gl=swiftshader"])
        page = browser.new_page(viewport={"width": 1400, "height": 640})
        page.set_default_timeout(PATIENCE_MS)
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)[:200]))
        page.goto(server.url)
        page.wait_for_function(IS_READY)
        page.wait_for_function(IS_KNOWN, arg=node)
        page.evaluate("async graph => { await window.app.loadGraphData(graph) }", graph)
        shown = page.evaluate("window.app.graph._nodes.map(node => [node.type, Boolean(node.has_errors)])")
        page.evaluate("window.app.queuePrompt(0)")
        while not (done := server.get("/history")):
            page.wait_for_timeout(200)
        browser.close()
    (done,) = done.values()
    pictures = [image for output in done["outputs"].values() for image in output.get("images", ())]
    return shown, errors, len(pictures)
