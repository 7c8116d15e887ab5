"""The tab's routes in the web UI's own server: `sdtrt/changes`, `sdtrt/do` and `sdtrt/picture`."""
from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from . import clicks, guard, pictures, stream
from .feed import Feed

# More than any click sends, in bytes.
MOST = 1 << 16
# With an encoding the web UI does not compress it: what it compresses waits for more.
STREAM = {"Cache-Control": "no-store", "Content-Encoding": "identity", "X-Accel-Buffering": "no"}


def add(feed: Feed, demo: Any, app: Any) -> None:
    """Adds them to a web UI that has a page, for those who may see that."""
    page = next((route for route in app.routes if getattr(route, "path", None) in ("/config", "/config/")), None)
    if demo is None or page is None:
        return
    # Of gradio's, which tells the page what is on it: who is logged in.
    login = page.dependencies
    server = getattr(demo, "server", None)

    async def changes(request: Request) -> Response:
        if not guard.is_own(request.headers):
            return refused()
        told = stream.lines(feed, stream.ending(server))
        return StreamingResponse(told, media_type="application/x-ndjson", headers=STREAM)

    async def do(request: Request) -> Response:
        if not guard.is_own(request.headers) or int(request.headers.get("content-length") or MOST) >= MOST:
            return refused()
        try:
            message = await request.json()
        except ValueError:
            return refused()
        return JSONResponse(await run_in_threadpool(clicks.answer, feed, message))

    async def picture(request: Request) -> Response:
        found = pictures.of(feed.entry(request.query_params.get("of", "")))
        if found is None or not guard.is_same_site(request.headers):
            return refused()
        path, kind = found
        return FileResponse(path, media_type=kind, headers=pictures.HEADERS)

    for path, method, answer in (("changes", "GET", changes), ("do", "POST", do), ("picture", "GET", picture)):
        app.add_api_route(
            f"/sdtrt/{path}", answer, methods=[method], dependencies=login, include_in_schema=False,
            response_class=Response, response_model=None,
        )


def refused() -> Response:
    return Response(status_code=403)
