// A plot of speed by size: an engine beside PyTorch.
(function() {
    const sdtrt = window.sdtrt = window.sdtrt || {};

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
        const said = speeds.map(speed => `${speed.size}: engine ${speed.engine.toFixed(1)} ms`
            + (speed.torch ? `, PyTorch ${speed.torch.toFixed(1)} ms` : ""));
        // In a narrow window the bars become shorter, and not the letters.
        const bar = (milliseconds, name, text) => {
            const drawn = sdtrt.el("i", {"class": name});
            drawn.style.setProperty("--part", milliseconds / most);
            return sdtrt.el("div", {}, drawn, sdtrt.el("span", {text: `${milliseconds.toFixed(1)} ms ${text}`}));
        };
        const rows = speeds.flatMap(speed => {
            const gain = speed.torch ? `, ${(speed.torch / speed.engine).toFixed(1)} ×` : "";
            const bars = sdtrt.el("div", {}, bar(speed.engine, "sdtrt-engine-bar", `engine${gain}`),
                speed.torch ? bar(speed.torch, "sdtrt-torch-bar", "PyTorch") : null);
            return [sdtrt.el("span", {text: speed.size}), bars];
        });
        const plot = sdtrt.el("div", {"class": "sdtrt-plot", role: "img", "aria-label": said.join("; ")}, ...rows);
        return sdtrt.el("figure", {}, sdtrt.el("figcaption", {text: "One call of the UNet, by size"}), plot);
    };
})();
