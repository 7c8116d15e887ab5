// Reads the stream of changes while someone looks at the tab 'TensorRT', and sends what is clicked.
//
// Nothing is asked while nothing changes: there is one request for as long as somebody looks, which the web UI ends when
// it reloads or stops. Then it must be left alone: A1111 fails to start if it is asked something just as it sets up its
// server. So it is only asked again a while after it has answered somebody else on this page, or when a person wants it.
(function() {
    const sdtrt = window.sdtrt = window.sdtrt || {};
    // How long nothing is asked after the stream was lost, and after the web UI has first answered again: even a slow start
    // is over then.
    const [LOST_MS, AGAIN_MS] = [30_000, 10_000];
    const HEADERS = {"X-Sdtrt": "1"};
    let reading = null;
    let lostAt = null;
    let returning = null;
    let isInView = false;

    sdtrt.url = path => new URL(`sdtrt/${path}`, document.baseURI).href;

    // Called whenever the tab comes into view, or leaves it.
    sdtrt.look = function(isSeen) {
        isInView = isSeen;
        if (!isSeen || document.hidden) {
            close();
        } else if (reading === null && (lostAt === null || isQuiet())) {
            open();
        }
    };

    sdtrt.connect = function() {
        close();
        open();
    };

    // Sends a request, and returns the reply: `said`, `value` or `problem`. One that is sent as the page is left lasts
    // longer than the page.
    sdtrt.send = async function(message, isLast = false) {
        try {
            const reply = await fetch(sdtrt.url("do"), {
                method: "POST", keepalive: isLast, body: JSON.stringify(message),
                headers: {"Content-Type": "application/json", ...HEADERS},
            });
            return reply.ok ? await reply.json() : {problem: refused(reply.status)};
        } catch (error) {
            return {problem: "The web UI does not answer."};
        }
    };

    async function open() {
        const mine = reading = new AbortController();
        let why = "The web UI does not answer.";
        try {
            const reply = await fetch(sdtrt.url("changes"), {headers: HEADERS, signal: mine.signal, cache: "no-store"});
            if (reply.ok) {
                lostAt = null;
                why = await read(reply.body.getReader(), mine);
            } else {
                why = refused(reply.status);
            }
        } catch (error) {
            // Closed, or the server is gone: which of them is known below.
        }
        if (reading === mine) {
            reading = null;
            lostAt = performance.now();
            sdtrt.lost(why);
        }
    }

    async function read(reader, mine) {
        const decoder = new TextDecoder();
        let left = "";
        for (;;) {
            const {done, value} = await reader.read();
            if (done || reading !== mine) {
                return "The web UI has ended the connection.";
            }
            const lines = (left + decoder.decode(value, {stream: true})).split("\n");
            left = lines.pop();
            for (const line of lines.filter(each => each !== "")) {
                const told = JSON.parse(line);
                if (told.bye) {
                    return "The web UI is reloading, or stops.";
                }
                sdtrt.told(told);
            }
        }
    }

    function close() {
        const mine = reading;
        reading = null;
        if (mine !== null) {
            mine.abort();
        }
    }

    function refused(status) {
        return status === 401 ? "Log in again: load the page anew." : `The web UI refuses this (${status}): load the page anew.`;
    }

    function isQuiet() {
        return performance.now() - lostAt > LOST_MS;
    }

    function isFromServer(entry) {
        const isOk = entry.responseStatus >= 200 && entry.responseStatus < 400;
        return isOk && entry.startTime > lostAt && new URL(entry.name).origin === location.origin;
    }

    new PerformanceObserver(list => {
        if (lostAt !== null && returning === null && list.getEntries().some(isFromServer)) {
            returning = setTimeout(comeBack, AGAIN_MS);
        }
    }).observe({type: "resource"});

    function comeBack() {
        returning = null;
        if (lostAt !== null && isInView && !document.hidden && reading === null) {
            open();
        }
    }

    document.addEventListener("visibilitychange", () => sdtrt.look(isInView));
})();
