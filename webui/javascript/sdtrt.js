// Draws the tab 'TensorRT' into the place that the web UI has for it, from the stream of changes.
(function() {
    const sdtrt = window.sdtrt = window.sdtrt || {};
    const PLACE = "sdtrt_tab";
    const [FIND_MS, SECOND_MS, UNDO_MS] = [250, 1000, 10_000];
    // Engines by key; removals that can still be undone, by the engine's key, with their timers.
    sdtrt.engines = new Map();
    sdtrt.leaving = new Map();
    sdtrt.jobs = [];
    let titles = new Map();
    let loaded = new Set();
    let toldAt = 0;
    let said, undo;

    function make(place) {
        sdtrt.root = place;
        titles = new Map();
        said = sdtrt.el("span", {role: "status", "aria-live": "polite", id: "sdtrt_said"});
        undo = sdtrt.button("Undo", () => [...sdtrt.leaving.values()].forEach(each => sdtrt.stay(each.engine)), {hidden: ""});
        place.replaceChildren(...sdtrt.make_head(), ...sdtrt.make_list(), sdtrt.el("p", {"class": "sdtrt-said"}, said, undo));
        // The web UI's own keys are for buttons that this tab has not.
        place.addEventListener("keydown", event => event.stopPropagation());
    }

    // A message of the stream.
    sdtrt.told = function(told) {
        if (told.loaded !== undefined) {
            loaded = new Set(told.loaded);
        }
        (told.engines || []).forEach(engine => sdtrt.engines.set(engine.key, engine));
        if (told.whole) {
            titles = new Map();
        }
        const before = new Map(titles);
        for (const row of told.rows || []) {
            titles.set(row.key, row);
        }
        (told.gone || []).forEach(key => titles.delete(key));
        if (told.status !== undefined) {
            toldAt = performance.now();
            sdtrt.jobs = told.status.jobs;
        }
        if (told.rows || told.gone || told.whole || told.loaded) {
            // The loaded checkpoint comes first.
            const changed = told.loaded ? [...titles.values()] : told.rows || [];
            sdtrt.update_rows(changed, told.gone || [], told.whole);
            announce(before, told.rows || []);
        }
        if (told.engines) {
            sdtrt.each_row(row => row.show_engines());
        }
        if (told.status !== undefined) {
            sdtrt.show_status(told.status);
        }
        if (told.problem !== undefined) {
            sdtrt.show_problem(told.problem);
        }
        if (told.last !== undefined) {
            sdtrt.show_last(told.last);
        }
    };

    // The stream has ended, and not by us.
    sdtrt.lost = function(why) {
        const again = sdtrt.button("Connect again", () => sdtrt.connect(), {id: "sdtrt_connect"});
        sdtrt.show_problem(`${why} What is shown is of ${new Date().toLocaleTimeString()}.`, again);
    };

    sdtrt.isLoaded = row => loaded.has(row.key) || row.places.some(place => loaded.has(place));
    // What people call a checkpoint, of which a job has the key.
    sdtrt.title = job => titles.has(job.key) ? titles.get(job.key).title : job.name;
    sdtrt.age = () => (performance.now() - toldAt) / 1000;
    sdtrt.say = text => sdtrt.text(said, text);

    function announce(before, rows) {
        const turned = (row, states) => before.has(row.key) && before.get(row.key).state !== row.state && states.includes(row.state);
        for (const state of ["ready", "failed"]) {
            const found = rows.filter(row => turned(row, [state]));
            if (found.length > 0) {
                sdtrt.say(found.length === 1 ? `${found[0].title} is ${state}.` : `${found.length} checkpoints are ${state}.`);
            }
        }
    }

    // Sends what was clicked, and says what becomes of it. `row` and `name` are of the button.
    sdtrt.click = async function(row, message, name) {
        const pressed = row && row.element.querySelector(`[data-do="${CSS.escape(name)}"]`);
        if (pressed && (pressed.getAttribute("aria-busy") || pressed.getAttribute("aria-disabled"))) {
            return;
        }
        pressed && pressed.setAttribute("aria-busy", "true");
        const reply = await sdtrt.send(message);
        pressed && pressed.removeAttribute("aria-busy");
        const pinned = Object.entries(reply.pinned || {}).filter(([key]) => sdtrt.engines.has(key));
        const engines = pinned.map(([key, is]) => ({...sdtrt.engines.get(key), pinned: is}));
        sdtrt.told({...(reply.rows && {rows: reply.rows}), ...(engines.length > 0 && {engines})});
        sdtrt.say((row ? `${row.row.title}: ` : "") + (reply.problem || reply.said || ""));
    };

    // Removes an engine, which can be undone for a while: the daemon is told afterwards.
    sdtrt.remove = function(engine) {
        const shared = [...titles.values()].filter(row => row.engines.includes(engine.key)).length;
        const many = shared > 1 ? ` It serves ${shared} checkpoints.` : "";
        const text = `Remove engine ${engine.id} (${engine.label}, ${sdtrt.bytes(engine.bytes)})?${many} It is built again only on request.`;
        sdtrt.question(text, "Remove", () => {
            const timer = setTimeout(() => leave(engine), UNDO_MS);
            sdtrt.leaving.set(engine.key, {engine, timer});
            sdtrt.say(`Engine ${engine.id} is removed in ${UNDO_MS / 1000} s.`);
            show_leaving();
        });
    };

    sdtrt.stay = function(engine) {
        clearTimeout(sdtrt.leaving.get(engine.key)?.timer);
        sdtrt.leaving.delete(engine.key);
        sdtrt.say(`Engine ${engine.id} stays.`);
        show_leaving();
    };

    async function leave(engine, isLast = false) {
        sdtrt.leaving.delete(engine.key);
        const reply = await sdtrt.send({request: "remove", engine: engine.key}, isLast);
        sdtrt.say(reply.problem || reply.said);
        show_leaving();
    }

    function show_leaving() {
        sdtrt.attribute(undo, "hidden", sdtrt.leaving.size === 0 ? "" : null);
        sdtrt.each_row(row => row.draw());
    }

    window.addEventListener("pagehide", () => {
        for (const {engine, timer} of [...sdtrt.leaving.values()]) {
            clearTimeout(timer);
            leave(engine, true);
        }
    });

    // The time that is left goes by without anyone's telling.
    setInterval(() => {
        if (sdtrt.jobs.length > 0 && sdtrt.root.getClientRects().length > 0) {
            sdtrt.show_jobs();
        }
    }, SECOND_MS);

    // Waits for the place, which gradio makes, and for someone to look at it.
    function find() {
        const place = document.getElementById(PLACE);
        if (place === null) {
            return;
        }
        clearInterval(finding);
        make(place);
        new IntersectionObserver((entries, observer) => {
            sdtrt.look(entries[entries.length - 1].isIntersecting);
            if (!place.isConnected) {
                observer.disconnect();
                finding = setInterval(find, FIND_MS);
            }
        }).observe(place);
    }

    let finding = setInterval(find, FIND_MS);
})();
