// Makes elements of the tab 'TensorRT'. The web UI loads it before the others, which take these from it, by its name. What the daemon says, names of files included, is text and never HTML.
(function() {
    const sdtrt = window.sdtrt = window.sdtrt || {};

    // Returns an element: `on…` are its listeners, `text` its text, the others its attributes; null and false leave one
    // out.
    sdtrt.el = function(name, properties, ...children) {
        const element = document.createElement(name);
        for (const [key, value] of Object.entries(properties || {})) {
            if (key === "text") {
                element.textContent = value;
            } else if (key.startsWith("on")) {
                element.addEventListener(key.slice(2), value);
            } else {
                sdtrt.attribute(element, key, value);
            }
        }
        element.append(...children.filter(child => child !== null));
        return element;
    };

    sdtrt.attribute = function(element, name, value) {
        if (value === null || value === false || value === undefined) {
            element.removeAttribute(name);
        } else if (element.getAttribute(name) !== String(value)) {
            element.setAttribute(name, value);
        }
    };

    // Changes an element's text. The web UI looks at the whole page whenever a node comes or goes: none does here.
    sdtrt.text = function(element, text) {
        if (element.firstChild instanceof Text && element.childNodes.length === 1) {
            if (element.firstChild.data !== text) {
                element.firstChild.data = text;
            }
        } else {
            element.textContent = text;
        }
    };

    sdtrt.button = function(text, onclick, properties) {
        return sdtrt.el("button", {type: "button", text, onclick, ...properties});
    };

    // Asks before something is done that can't be taken back for free.
    sdtrt.question = function(text, label, done) {
        const box = sdtrt.el("dialog", {"class": "sdtrt-question", "aria-label": text});
        const end = () => {
            box.close();
            box.remove();
        };
        const yes = sdtrt.button(label, () => {
            end();
            done();
        }, {"class": "sdtrt-stop"});
        box.append(sdtrt.el("p", {text}), sdtrt.el("p", {"class": "sdtrt-buttons"}, yes, sdtrt.button("Keep it", end, {autofocus: ""})));
        box.addEventListener("cancel", end);
        sdtrt.root.append(box);
        box.showModal();
    };

    sdtrt.bytes = function(count) {
        return count >= 1e9 ? `${(count / 1e9).toFixed(1)} GB` : `${Math.max(1, Math.round(count / 1e6))} MB`;
    };

    sdtrt.duration = function(seconds) {
        const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
        if (hours > 0) {
            return `${hours} h ${minutes % 60} min`;
        }
        return minutes > 0 ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.round(seconds)} s`;
    };

    sdtrt.clock = function(seconds) {
        const then = new Date(seconds * 1000);
        const isToday = then.toDateString() === new Date().toDateString();
        const time = then.toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"});
        return isToday ? time : `${then.toLocaleDateString([], {weekday: "long"})} ${time}`;
    };
})();
