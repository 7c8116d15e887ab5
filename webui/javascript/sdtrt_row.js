// A checkpoint's row in the tab 'TensorRT': picture, state, progress, buttons, and its engines once it is opened.
(function() {
    const sdtrt = window.sdtrt = window.sdtrt || {};
    const {el, text, attribute, button} = sdtrt;

    sdtrt.Row = class {
        constructor(row) {
            this.key = row.key;
            this.isOpen = false;
            this.drawn = "";
            this.picture = el("span", {"class": "sdtrt-picture", "aria-hidden": "true"});
            this.name = sdtrt.button("", () => this.toggle(), {
                "class": "sdtrt-name", "aria-expanded": "false", "data-do": "name",
            });
            this.about = el("span", {"class": "sdtrt-about"});
            this.state = el("span", {"class": "sdtrt-state"});
            this.progress = el("progress", {max: 1});
            this.left = el("span", {"class": "sdtrt-left"});
            this.job = el("span", {"class": "sdtrt-job", hidden: ""}, this.progress, this.left);
            this.build = this.action("build", "Build now", () => ({request: "build", reference: this.key, now: true}));
            this.validate = this.action("validate", "Validate again", () => ({request: "validate", reference: this.key}));
            this.pin = this.action("pin", "Pin", () => ({
                request: this.is_pinned() ? "unpin" : "pin", reference: this.key,
            }));
            this.details = el("div", {"class": "sdtrt-details", hidden: ""});
            this.element = el("li", {"class": "sdtrt-row"}, this.picture,
                el("div", {"class": "sdtrt-main"}, this.name, this.about, this.state, this.job),
                el("div", {"class": "sdtrt-buttons"}, this.build, this.validate, this.pin), this.details);
            this.element.sdtrt_row = this;
            this.buttons = [this.name, this.build, this.validate, this.pin];
            this.current(false);
            this.update(row);
        }

        action(name, label, message) {
            return button(label, () => sdtrt.click(this, message(), name), {"data-do": name});
        }

        // Only one row's buttons are reached by Tab; arrows lead to the others.
        current(isCurrent) {
            this.buttons.forEach(each => attribute(each, "tabindex", isCurrent ? "0" : "-1"));
        }

        known_engines() {
            return this.row.engines.map(key => sdtrt.engines.get(key)).filter(each => each);
        }

        is_pinned() {
            const engines = this.known_engines();
            return engines.length > 0 && engines.every(engine => engine.pinned);
        }

        update(row) {
            this.row = row;
            text(this.name, row.title);
            text(this.state, row.reason ? `${row.state}: ${row.reason}` : row.state);
            attribute(this.state, "data-state", row.state);
            attribute(this.element, "data-loaded", sdtrt.isLoaded(row) ? "" : null);
            text(this.build, ["failed", "rejected", "off"].includes(row.state) ? "Try again" : "Build now");
            this.draw_picture();
            this.show_job();
            this.show_engines();
        }

        // What its engines have become.
        show_engines() {
            const {row} = this;
            const is_pinned = this.is_pinned();
            const about = [row.file.startsWith(`${row.title}.`) ? "" : row.file, row.architecture, row.id,
                sdtrt.isLoaded(row) ? "loaded now" : "", is_pinned ? "pinned" : ""];
            text(this.about, about.filter(each => each !== "").join(" · "));
            text(this.pin, is_pinned ? "Unpin" : "Pin");
            const has = row.engines.length > 0;
            attribute(this.validate, "aria-disabled", has ? null : "true");
            attribute(this.pin, "aria-disabled", has ? null : "true");
            for (const each of [this.build, this.validate, this.pin]) {
                attribute(each, "aria-label", `${each.textContent}: ${row.title}`);
            }
            this.draw();
        }

        draw_picture() {
            const has = this.picture.firstChild instanceof HTMLImageElement;
            if (this.row.picture && !has) {
                const src = sdtrt.url(`picture?of=${encodeURIComponent(this.key)}`);
                this.picture.replaceChildren(el("img", {src, alt: "", loading: "lazy", decoding: "async"}));
            } else if (!this.row.picture && has) {
                this.picture.replaceChildren();
            }
        }

        // The job that is for this checkpoint: a shared engine's is for all of a kind.
        job_of(jobs) {
            const comes = label => this.row.coming.some(each => each.label === label && each.state === "building");
            return jobs.find(job => job.key === this.key)
                || jobs.find(job => job.architecture === this.row.architecture && comes(job.label));
        }

        show_job() {
            const job = this.job_of(sdtrt.jobs);
            attribute(this.job, "hidden", job ? null : "");
            // The bar says it too.
            attribute(this.state, "hidden", job && this.row.state === "building" && !this.row.reason ? "" : null);
            if (job) {
                sdtrt.show_progress(this.progress, this.left, job);
            }
        }

        toggle() {
            this.isOpen = !this.isOpen;
            attribute(this.name, "aria-expanded", this.isOpen);
            attribute(this.details, "hidden", this.isOpen ? null : "");
            this.draw();
        }

        // Draws the engines again if anything of them has changed; who has the focus keeps it.
        draw() {
            if (!this.isOpen) {
                return;
            }
            const engines = this.known_engines();
            const leaving = engines.map(engine => sdtrt.leaving.has(engine.key));
            const now = JSON.stringify([this.row, engines, leaving]);
            if (now === this.drawn) {
                return;
            }
            this.drawn = now;
            const focused = this.details.contains(document.activeElement) ? document.activeElement.dataset.do : null;
            const {row} = this;
            this.details.replaceChildren(...[
                ...row.remarks.map(remark => el("p", {text: remark})),
                el("ul", {"class": "sdtrt-engines", "aria-label": `Engines of ${row.title}`},
                    ...engines.map(engine => this.engine(engine)),
                    ...row.coming.map(each => el("li", {
                        text: `${each.label}: ${each.state}${each.reason ? `, ${each.reason}` : ""}`,
                    }))),
                engines.length + row.coming.length === 0 ? el("p", {text: "It has no engine yet."}) : null,
                sdtrt.plot(engines),
                ...row.places.map((place, number) => el("p", {"class": "sdtrt-about", title: place, text: row.folders[number]})),
            ].filter(each => each !== null));
            if (focused) {
                const same = this.details.querySelector(`[data-do="${CSS.escape(focused)}"]`);
                (same || this.name).focus();
            }
        }

        engine(engine) {
            const isLeaving = sdtrt.leaving.has(engine.key);
            const notes = [sdtrt.bytes(engine.bytes), engine.state, engine.outdated ? `outdated: ${engine.outdated}` : "",
                engine.pinned ? "pinned" : "", this.row.beyond[engine.key] || ""];
            const act = (name, label, onclick, properties) => button(label, onclick, {
                "data-do": `${name} ${engine.key}`, "aria-label": `${label}: engine ${engine.id}, ${engine.label}`, ...properties,
            });
            const pin = act("pin", engine.pinned ? "Unpin" : "Pin", () => sdtrt.click(this, {
                request: engine.pinned ? "unpin" : "pin", reference: engine.key,
            }, `pin ${engine.key}`));
            // The same name, so that the focus stays there.
            const remove = isLeaving ? act("remove", "Undo", () => sdtrt.stay(engine))
                : act("remove", "Remove", () => sdtrt.remove(engine), {"class": "sdtrt-stop"});
            return el("li", {"class": isLeaving ? "sdtrt-leaving" : ""},
                el("code", {text: engine.id}),
                el("span", {"class": "sdtrt-sizes"}, ...engine.sizes.map(size => el("span", {text: size}))),
                el("span", {"class": "sdtrt-about", text: isLeaving ? "is removed in a moment"
                    : notes.filter(each => each !== "").join("; ")}),
                el("span", {"class": "sdtrt-buttons"}, pin, remove));
        }
    };

    sdtrt.show_progress = function(progress, left, job) {
        const percent = job.done === null ? "" : `, ${Math.floor(job.done * 100)} %`;
        const seconds = job.left === null ? "" : `, ${sdtrt.duration(Math.max(0, job.left - sdtrt.age()))} left`;
        text(left, `${job.task} ${job.label}${percent}${seconds}`);
        attribute(progress, "value", job.done);
        attribute(progress, "aria-label", `${job.task} ${job.label}`);
    };
})();
