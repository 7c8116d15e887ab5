// The presets of the tab 'TensorRT': chosen from a list, and edited with what they cost and cover.
(function() {
    const sdtrt = window.sdtrt = window.sdtrt || {};
    const {el, text, attribute, button} = sdtrt;
    const PAUSE_MS = 200;
    const LIMITS = ["min", "opt", "max"];
    // Name, label, and what its values are multiples of.
    const FIELDS = [["width", "Width", 8, 4096], ["height", "Height", 8, 4096], ["batch", "Images at once", 1, 16],
        ["tokens", "Tokens", 75, 750]];
    const FAMILIES = {sd: "SD 1, SD 2", sdxl: "SDXL"};
    const USUAL = {
        name: "", builtin: false, width: {min: 512, opt: 512, max: 768}, height: {min: 512, opt: 512, max: 768},
        batch: {min: 1, opt: 1, max: 4}, tokens: {min: 75, opt: 75, max: 150}, controlnet: false,
    };
    let box, list, form, cost, covered, save, remove, presets, chosen, timer, turn;

    // Opens the editor; `wanted` is what a preset should cover: width, height, batch, tokens or controlnet.
    sdtrt.edit_presets = async function(wanted = null) {
        const reply = await sdtrt.send({request: "presets"});
        if (reply.problem) {
            sdtrt.say(reply.problem);
            return;
        }
        presets = merged(reply.value);
        make();
        const nearest = presets.find(each => !each.builtin) || presets[0] || USUAL;
        choose(wanted === null ? nearest : widened(nearest, wanted));
        box.showModal();
    };

    // One's own presets are the same for each family of models; what comes with sdtrtd has other sizes for each.
    function merged(all) {
        const of = name => all.filter(each => !each.builtin && each.name === name);
        return all.filter(each => each.builtin || each === of(each.name)[0]).map(each => {
            if (each.builtin) {
                return each;
            }
            const used = of(each.name).filter(same => same.checkpoints > 0);
            return {...each, checkpoints: counted(all, each.name), family: used.length === 1 ? used[0].family : undefined};
        });
    }

    function counted(all, name) {
        return all.filter(each => !each.builtin && each.name === name).reduce((sum, each) => sum + each.checkpoints, 0);
    }

    function make() {
        turn = 0;
        list = el("select", {id: "sdtrt_preset", onchange: () => choose(presets[list.value] || USUAL)});
        const input = (name, limit, step, most) => el("input", {
            type: "number", name: `${name}.${limit}`, min: step, max: most, step, "aria-label": `${name} ${limit}`, required: "",
        });
        form = el("form", {oninput: changed, onsubmit: event => event.preventDefault()},
            el("p", {}, el("label", {for: "sdtrt_preset_name", text: "Name"}),
                el("input", {id: "sdtrt_preset_name", name: "name", required: "", autocomplete: "off"})),
            el("table", {},
                el("thead", {}, el("tr", {}, el("th"), ...LIMITS.map(limit => el("th", {scope: "col", text: limit})))),
                el("tbody", {}, ...FIELDS.map(([name, label, step, most]) => el("tr", {}, el("th", {scope: "row", text: label}),
                    ...LIMITS.map(limit => el("td", {}, input(name, limit, step, most))))))),
            check("static", "static: one size, which is faster"), check("controlnet", "for ControlNets too"));
        cost = el("p", {id: "sdtrt_cost", role: "status"});
        covered = el("table", {id: "sdtrt_covered"});
        save = button("Save", () => apply(false), {id: "sdtrt_preset_save", "class": "sdtrt-primary"});
        remove = button("Delete", () => drop(), {"class": "sdtrt-stop", id: "sdtrt_preset_remove"});
        box = el("dialog", {id: "sdtrt_presets", "aria-label": "Presets", onclose: () => box.remove()},
            el("p", {}, el("label", {for: "sdtrt_preset", text: "Preset"}), list), form, cost, covered,
            el("p", {"class": "sdtrt-buttons"}, save, remove, button("Close", () => box.close())));
        sdtrt.root.append(box);
    }

    function check(name, label) {
        return el("p", {}, el("label", {}, el("input", {type: "checkbox", name}), el("span", {text: ` ${label}`})));
    }

    function fill() {
        const told = preset => `${preset.builtin ? ` (${FAMILIES[preset.family] || preset.family})` : ""}: `
            + `${preset.checkpoints} checkpoint${preset.checkpoints === 1 ? "" : "s"}`;
        const option = (preset, value) => el("option", {
            value, text: preset.name + (preset.checkpoints === undefined ? "" : told(preset)),
        });
        list.replaceChildren(...presets.map(option), option({name: "new…"}, "new"));
        const place = presets.findIndex(each => each.name === chosen.name && each.family === chosen.family);
        list.value = place < 0 ? "new" : String(place);
    }

    function choose(preset) {
        chosen = preset;
        fill();
        const {elements} = form;
        // What comes with sdtrtd stays as it is: a change makes another.
        elements.name.value = preset.builtin ? `${preset.name} (mine)` : preset.name;
        for (const [name] of FIELDS) {
            LIMITS.forEach(limit => elements[`${name}.${limit}`].value = preset[name][limit]);
        }
        elements.static.checked = FIELDS.slice(0, 3).every(([name]) => preset[name].min === preset[name].max);
        elements.controlnet.checked = Boolean(preset.controlnet);
        attribute(remove, "hidden", preset.builtin || !preset.name ? "" : null);
        changed();
    }

    // A copy of a preset that covers this too.
    function widened(preset, wanted) {
        const copy = JSON.parse(JSON.stringify(preset));
        for (const [name, value] of Object.entries(wanted)) {
            if (name === "controlnet") {
                copy.controlnet = value;
            } else if (copy[name]) {
                copy[name].min = Math.min(copy[name].min, value);
                copy[name].max = Math.max(copy[name].max, value);
            }
        }
        return copy;
    }

    function edited() {
        const {elements} = form;
        const preset = {name: elements.name.value.trim(), controlnet: elements.controlnet.checked};
        for (const [name] of FIELDS) {
            const value = limit => Number(elements[`${name}.${limit}`].value);
            preset[name] = Object.fromEntries(LIMITS.map(limit => [limit, value(limit)]));
        }
        return chosen.family ? {...preset, family: chosen.family} : preset;
    }

    // Static means one width, height and batch; the prompt may still be longer.
    function changed() {
        const {elements} = form;
        for (const [name] of FIELDS.slice(0, 3)) {
            for (const limit of ["min", "max"]) {
                const input = elements[`${name}.${limit}`];
                input.readOnly = elements.static.checked;
                if (input.readOnly) {
                    input.value = elements[`${name}.opt`].value;
                }
            }
        }
        clearTimeout(timer);
        timer = setTimeout(() => apply(true), PAUSE_MS);
    }

    // Asks what a preset would cost; or saves it.
    async function apply(isDry) {
        clearTimeout(timer);
        const mine = ++turn;
        const problem = wrong();
        const reply = problem ? {problem} : await sdtrt.send({request: "set_preset", preset: edited(), dry_run: isDry});
        if (mine !== turn) {
            return;
        }
        attribute(save, "aria-disabled", reply.problem ? "true" : null);
        attribute(cost, "data-problem", reply.problem ? "" : null);
        text(cost, reply.problem || costs(reply.value, isDry));
        covered.replaceChildren(...(reply.covers ? coverage(reply.covers) : []));
        if (!isDry && !reply.problem) {
            presets = reply.value.presets;
            box.close();
            sdtrt.say(`Saved. ${text_of(reply.value)}`);
        }
    }

    function wrong() {
        const {elements} = form;
        const empty = [...elements].find(each => each.validity && !each.validity.valid);
        if (empty) {
            return `${empty.getAttribute("aria-label") || empty.name}: ${empty.validationMessage}`;
        }
        const mixed = FIELDS.find(([name]) => {
            const [least, usual, most] = LIMITS.map(limit => Number(elements[`${name}.${limit}`].value));
            return least > usual || usual > most;
        });
        return mixed ? `${mixed[1]}: min, opt and max must be in this order.` : "";
    }

    function costs(value, isDry) {
        return isDry ? text_of(value) : "";
    }

    function text_of(value) {
        if (value.engines === 0) {
            return counted(value.presets, edited().name) > 0 ? "Builds nothing: its engines are there."
                : "Builds nothing: no checkpoint has it, since rules in sdtrtd.toml choose others.";
        }
        const builds = `Builds ${value.engines} engine${value.engines === 1 ? "" : "s"}`;
        if (value.bytes === null || value.seconds === null) {
            return `${builds}. The disk and the time that takes are not known until one was built.`;
        }
        return `${builds}: about ${sdtrt.bytes(value.bytes)} and ${sdtrt.duration(value.seconds)}.`;
    }

    function coverage(sizes) {
        const mark = is => el("td", {"class": is ? "sdtrt-yes" : "sdtrt-no", text: is ? "✓ engine" : "PyTorch"});
        const head = ["picture", "base", "hires × 1.5", "hires × 2"].map(each => el("th", {scope: "col", text: each}));
        return [
            el("caption", {text: "Which pictures it covers"}), el("thead", {}, el("tr", {}, ...head)),
            el("tbody", {}, ...sizes.map(size => el("tr", {}, el("th", {scope: "row", text: `${size.width} × ${size.height}`}),
                mark(size.base), ...size.hires.map(mark)))),
        ];
    }

    async function drop() {
        const message = {request: "remove_preset", name: chosen.name};
        const dry = await sdtrt.send({...message, dry_run: true});
        if (dry.problem) {
            text(cost, dry.problem);
            return;
        }
        sdtrt.question(`Delete the preset ${chosen.name}? Its engines are deleted once nothing needs them.`, "Delete", async () => {
            const reply = await sdtrt.send({...message, dry_run: false});
            box.close();
            sdtrt.say(reply.problem || "Deleted.");
        });
    }
})();
