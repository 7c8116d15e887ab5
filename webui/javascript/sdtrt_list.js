// All checkpoints of the tab 'TensorRT', in order, and found by what is typed or by their state.
(function() {
    const sdtrt = window.sdtrt = window.sdtrt || {};
    const {el, attribute} = sdtrt;
    const ORDER = new Intl.Collator([], {numeric: true, sensitivity: "base"});
    // By key.
    const rows = new Map();
    let list, find, state, count, current = null;

    sdtrt.make_list = function() {
        rows.clear();
        current = null;
        find = el("input", {type: "search", id: "sdtrt_find", placeholder: "name, folder or id", oninput: filter});
        state = el("select", {id: "sdtrt_filter", onchange: filter}, ...[
            ["", "all"], ["loaded", "loaded now"], ["building queued", "to be built"], ["ready", "ready"],
            ["failed rejected off", "without engines"],
        ].map(([value, text]) => el("option", {value, text})));
        count = el("span", {"class": "sdtrt-about"});
        list = el("ul", {id: "sdtrt_rows", "aria-label": "Checkpoints", onkeydown: move, onfocusin: note});
        return [
            el("div", {"class": "sdtrt-find"}, el("label", {for: "sdtrt_find", text: "Find"}), find,
                el("label", {for: "sdtrt_filter", text: "Show"}), state, count),
            list,
        ];
    };

    sdtrt.update_rows = function(changed, gone, isWhole) {
        if (isWhole) {
            const kept = new Set(changed.map(row => row.key));
            gone = [...rows.keys()].filter(key => !kept.has(key));
        }
        gone.forEach(drop);
        const isLarge = changed.length > 20;
        for (const row of changed) {
            const known = rows.get(row.key);
            if (known === undefined) {
                rows.set(row.key, new sdtrt.Row(row));
            } else {
                known.update(row);
            }
            if (!isLarge) {
                place(rows.get(row.key));
            }
        }
        if (isLarge) {
            const sorted = [...rows.values()].sort(compare).map(each => each.element);
            if (sorted.some((element, number) => list.children[number] !== element)) {
                keep_focus(() => list.replaceChildren(...sorted));
            }
        }
        if (current === null || !rows.has(current.key)) {
            choose(first());
        }
        filter();
    };

    sdtrt.each_row = action => rows.forEach(action);

    function compare(one, other) {
        const loaded = sdtrt.isLoaded(other.row) - sdtrt.isLoaded(one.row);
        return loaded || ORDER.compare(one.row.title, other.row.title) || (one.key < other.key ? -1 : 1);
    }

    // Puts a row where it belongs, if it is not there already.
    function place(row) {
        const {element} = row;
        const [before, after] = [element.previousElementSibling, element.nextElementSibling].map(each => each && of(each));
        const isThere = element.isConnected && (!before || compare(before, row) < 0) && (!after || compare(row, after) < 0);
        if (isThere) {
            return;
        }
        const others = [...list.children].filter(each => each !== element);
        let [low, high] = [0, others.length];
        while (low < high) {
            const middle = (low + high) >> 1;
            [low, high] = compare(of(others[middle]), row) < 0 ? [middle + 1, high] : [low, middle];
        }
        keep_focus(() => list.insertBefore(element, others[low] || null));
    }

    // Whoever is moved loses the focus.
    function keep_focus(change) {
        const focused = document.activeElement;
        change();
        if (list.contains(focused)) {
            focused.focus({preventScroll: true});
        }
    }

    function of(element) {
        return element.sdtrt_row;
    }

    function drop(key) {
        const row = rows.get(key);
        if (row !== undefined) {
            const wasFocused = row.element.contains(document.activeElement);
            const next = row.element.nextElementSibling || row.element.previousElementSibling;
            row.element.remove();
            rows.delete(key);
            if (wasFocused && next) {
                of(next).name.focus();
            }
        }
    }

    function filter() {
        const words = find.value.toLowerCase().split(/\s+/).filter(word => word !== "");
        const states = state.value.split(" ").filter(each => each !== "");
        let shown = 0;
        for (const each of rows.values()) {
            const {row} = each;
            const all = [row.title, row.id, row.key, row.architecture, ...row.places].join(" ").toLowerCase();
            const isIn = states.length === 0 || states.includes(row.state) || (states[0] === "loaded" && sdtrt.isLoaded(row));
            const isShown = isIn && words.every(word => all.includes(word));
            each.element.hidden = !isShown;
            shown += isShown;
        }
        sdtrt.text(count, shown === rows.size ? `${shown} checkpoints` : `${shown} of ${rows.size} checkpoints`);
        if (current !== null && current.element.hidden) {
            choose(first());
        }
    }

    function visible() {
        return [...list.children].filter(each => !each.hidden).map(of);
    }

    function first() {
        return visible()[0] || null;
    }

    function choose(row) {
        if (current !== null) {
            current.current(false);
        }
        current = row;
        if (row !== null) {
            row.current(true);
        }
    }

    function note(event) {
        const element = event.target.closest(".sdtrt-row");
        if (element !== null && of(element) !== current) {
            choose(of(element));
        }
    }

    // Up and down lead to the same button of the next row.
    function move(event) {
        const steps = {ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity};
        if (!(event.key in steps) || current === null || event.altKey || event.ctrlKey || event.metaKey) {
            return;
        }
        event.preventDefault();
        const shown = visible();
        const place = Math.min(shown.length - 1, Math.max(0, shown.indexOf(current) + steps[event.key]));
        const name = document.activeElement.dataset.do;
        const same = shown[place].buttons.find(each => each.dataset.do === name) || shown[place].name;
        same.focus();
        shown[place].element.scrollIntoView({block: "nearest"});
    }
})();
