// A plot of speed by size: an engine beside PyTorch.
(function() {
    const sdtrt = window.sdtrt = window.sdtrt || {};
    const SPACE = "http://www.w3.org/2000/svg";
    const [LEFT, WIDTH, RIGHT, BAR, GAP] = [150, 300, 130, 14, 12];

    function svg(name, attributes, text) {
        const element = document.createElementNS(SPACE, name);
        Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
        if (text !== undefined) {
            element.textContent = text;
        }
        return element;
    }

    // Returns the fastest engine's milliseconds at each size, and PyTorch's if they were measured.
    sdtrt.speeds = function(engines) {
        const found = new Map();
        for (const speed of engines.flatMap(engine => engine.speeds)) {
            const size = `${speed.width} × ${speed.height}${speed.batch > 2 ? `, batch ${speed.batch}` : ""}`;
            const known = found.get(size);
            const torch = speed.torch ?? (known ? known.torch : null);
            const engine = known ? Math.min(known.engine, speed.engine) : speed.engine;
            found.set(size, {size, engine, torch, pixels: speed.width * speed.height * speed.batch});
        }
        return [...found.values()].sort((one, other) => one.pixels - other.pixels);
    };

    // Returns a figure; null if nothing was measured.
    sdtrt.plot = function(engines) {
        const speeds = sdtrt.speeds(engines);
        if (speeds.length === 0) {
            return null;
        }
        const most = Math.max(...speeds.map(speed => Math.max(speed.engine, speed.torch || 0)));
        const step = 2 * BAR + GAP;
        const said = speeds.map(speed => `${speed.size}: engine ${speed.engine.toFixed(1)} ms`
            + (speed.torch ? `, PyTorch ${speed.torch.toFixed(1)} ms` : ""));
        const plot = svg("svg", {
            viewBox: `0 0 ${LEFT + WIDTH + RIGHT} ${speeds.length * step}`, role: "img", "aria-label": said.join("; "),
            "class": "sdtrt-plot",
        });
        speeds.forEach((speed, number) => {
            const top = number * step + GAP / 2;
            plot.append(svg("text", {x: LEFT - 10, y: top + BAR + 4, "text-anchor": "end"}, speed.size));
            const bar = (milliseconds, row, name, what) => {
                const width = Math.max(2, WIDTH * milliseconds / most);
                const gain = what === "engine" && speed.torch ? `, ${(speed.torch / speed.engine).toFixed(1)} ×` : "";
                plot.append(svg("rect", {x: LEFT, y: top + row * BAR, width, height: BAR - 2, "class": name}));
                plot.append(svg("text", {x: LEFT + width + 6, y: top + row * BAR + BAR - 4},
                    `${milliseconds.toFixed(1)} ms ${what}${gain}`));
            };
            bar(speed.engine, 0, "sdtrt-engine-bar", "engine");
            if (speed.torch) {
                bar(speed.torch, 1, "sdtrt-torch-bar", "PyTorch");
            }
        });
        return sdtrt.el("figure", {}, sdtrt.el("figcaption", {text: "One call of the UNet, by size"}), plot);
    };
})();
