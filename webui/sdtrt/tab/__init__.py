"""The tab 'TensorRT': the page's own JavaScript draws it from one stream of changes, and sends what is clicked."""
