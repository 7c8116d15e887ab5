// What stands over the checkpoints in the tab 'TensorRT': the daemon, what it does and waits for, pausing it, and why
// PyTorch computed the last picture.
(function() {
    const sdtrt = window.sdtrt = window.sdtrt || {};
    const {el, text, attribute, button} = sdtrt;
    const HOUR_S = 3600;
    const MORNING = 6;
    let status, problems, waits, jobs, queue, pausing, resume, last, asked, latest;

    sdtrt.make_head = function() {
        asked = latest = null;
        status = el("p", {id: "sdtrt_status"});
        problems = el("div", {"class": "sdtrt-problems", role: "alert"});
        waits = el("p", {id: "sdtrt_waits"});
        jobs = el("div", {"class": "sdtrt-jobs"});
        queue = el("details", {"class": "sdtrt-queue", hidden: ""}, el("summary"), el("ol"));
        const pause = (label, seconds, id) => button(label, () => {
            const message = {request: "pause"};
            const left = seconds && seconds();
            sdtrt.click(null, left ? {...message, seconds: left} : message);
        }, {id});
        pausing = el("span", {"class": "sdtrt-buttons", role: "group", "aria-label": "Pause"},
            pause("Pause for 1 h", () => HOUR_S, "sdtrt_pause_hour"),
            pause(`until tomorrow, ${MORNING}:00`, until_morning, "sdtrt_pause_day"),
            pause("until resumed", null, "sdtrt_pause"));
        resume = button("Resume", () => sdtrt.click(null, {request: "resume"}), {id: "sdtrt_resume", hidden: ""});
        last = el("section", {id: "sdtrt_last", "aria-label": "The last picture", hidden: ""});
        return [
            status, problems, waits,
            el("div", {"class": "sdtrt-bar"}, pausing, resume,
                button("Presets…", () => sdtrt.edit_presets(), {id: "sdtrt_presets_open"})),
            jobs, queue, last,
        ];
    };

    function until_morning() {
        const now = new Date();
        const then = new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1, MORNING);
        return Math.round((then - now) / 1000);
    }

    sdtrt.show_status = function(now) {
        latest = now;
        const counts = Object.entries(now.counts).map(([state, count]) => `${count} ${state}`).join(", ");
        const gpus = now.gpus.join(", ") || "no GPU";
        text(status, [`sdtrtd ${now.version}`, now.runtime, gpus, counts || "no checkpoints", now.reading]
            .filter(each => each !== "").join(" · "));
        show_problems(now.problems);
        // Of what goes the focus goes to what comes in its place.
        const [gone, come, first] = now.paused ? [pausing, resume, resume] : [resume, pausing, pausing.firstChild];
        const had_focus = gone.contains(document.activeElement);
        attribute(come, "hidden", null);
        if (had_focus) {
            first.focus();
        }
        attribute(gone, "hidden", "");
        text(waits, waiting(now));
        show_queue(now);
        sdtrt.jobs = now.jobs;
        show_jobs();
    };

    function waiting(now) {
        if (now.paused) {
            return `Paused until ${now.pausedUntil ? sdtrt.clock(now.pausedUntil) : "you resume it"}.`;
        }
        if (now.jobs.length > 0) {
            return "";
        }
        if (now.gate) {
            return `Waits: ${now.gate}.`;
        }
        const [first] = now.queue;
        return first ? `Next: ${first.preset} for ${sdtrt.title(first)}; ${first.reason}.` : "Nothing to do.";
    }

    function show_problems(found) {
        if (found.join("\n") !== [...problems.children].map(each => each.textContent).join("\n")) {
            problems.replaceChildren(...found.map(problem => el("p", {text: problem})));
        }
    }

    // Without the daemon, or the web UI, what is shown is old, and nothing can be clicked.
    sdtrt.show_problem = function(problem, button_) {
        attribute(sdtrt.root, "data-lost", problem === "" ? null : "");
        if (problem !== "") {
            text(status, problem);
            text(waits, "");
            if (button_) {
                waits.replaceChildren(button_);
            }
        } else if (latest !== null) {
            // Of a daemon that is back nothing else need have changed.
            sdtrt.show_status(latest);
        }
    };

    function show_queue(now) {
        attribute(queue, "hidden", now.queued === 0 ? "" : null);
        text(queue.firstChild, `${now.queued} waiting`);
        const lines = now.queue.map(each => `${each.preset} for ${sdtrt.title(each)}: ${each.why}; ${each.reason}`);
        if (now.queued > lines.length) {
            lines.push(`and ${now.queued - lines.length} more`);
        }
        const list = queue.lastChild;
        if (lines.join("\n") !== [...list.children].map(each => each.textContent).join("\n")) {
            list.replaceChildren(...lines.map(line => el("li", {text: line})));
        }
    }

    function show_jobs() {
        while (jobs.children.length > sdtrt.jobs.length) {
            jobs.lastChild.remove();
        }
        while (jobs.children.length < sdtrt.jobs.length) {
            jobs.append(el("p", {"class": "sdtrt-job"}, el("progress", {max: 1}), el("span", {"class": "sdtrt-left"})));
        }
        sdtrt.jobs.forEach((job, number) => {
            const [progress, left] = jobs.children[number].children;
            sdtrt.show_progress(progress, left, {...job, label: `${job.label} for ${sdtrt.title(job)}`});
        });
        sdtrt.each_row(row => row.show_job());
    }
    sdtrt.show_jobs = show_jobs;

    // The last picture: what was said of it, and what can be done where PyTorch computed it.
    sdtrt.show_last = async function(job) {
        attribute(last, "hidden", job === null ? "" : null);
        if (job === null) {
            return;
        }
        const by_torch = job.lines.some(line => line.pytorch);
        const title = by_torch ? "Why did PyTorch compute the last picture?" : "The last picture";
        const lines = job.lines.length > 0 ? job.lines : [{text: "Nothing was said of it: PyTorch computed it."}];
        last.replaceChildren(el("h3", {text: title}),
            ...lines.map(line => el("p", {"class": line.pytorch ? "sdtrt-torch" : "", text: line.text})));
        if (!by_torch) {
            return;
        }
        const mine = asked = {};
        const {value} = await sdtrt.send({request: "why"});
        if (asked === mine && value) {
            last.append(...value.map(mending));
        }
    };

    function mending(each) {
        const act = () => each.request ? sdtrt.click(null, each.request) : sdtrt.edit_presets(each.preset);
        return el("p", {"class": "sdtrt-mend"}, el("span", {text: each.text}),
            each.label ? button(each.label, act, {"class": "sdtrt-primary"}) : null);
    }
})();
