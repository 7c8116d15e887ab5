// Keeps the tab 'TensorRT' up to date while someone looks at it: asks for an update, and for the next one only after
// the last has been answered. So nothing is asked of a web UI that has gone away, and nothing keeps it from closing.
(function() {
    // So short that what is asked last, when a web UI reloads, comes before its new server is set up: A1111 fails to start
    // if it is asked something just then.
    const MILLISECONDS = 1000;
    let isAsked = false;
    let wasInView = false;

    // Called by the page once an update has arrived.
    window.sdtrtUpdated = function() {
        isAsked = false;
        return [];
    };

    function isInView() {
        const status = document.getElementById("sdtrt_status");
        return !document.hidden && status !== null && status.getClientRects().length > 0;
    }

    function look() {
        const isSeen = isInView();
        // Whoever comes back to the tab may ask again, though an update was never answered.
        isAsked = isAsked && (wasInView || !isSeen);
        wasInView = isSeen;
        const button = document.getElementById("sdtrt_update");
        if (isSeen && !isAsked && button !== null) {
            isAsked = true;
            button.click();
        }
    }

    setInterval(look, MILLISECONDS);
})();
