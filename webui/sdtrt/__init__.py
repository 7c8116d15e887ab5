"""sdtrt's engines in AUTOMATIC1111's web UI.

Pure: index, signature, binding, calls, serving, options, loras, shapes, engines, overview, view. On the GPU, with
torch and TensorRT-RTX: engine and weights, which gpu combines once an engine fits, and look. Only these touch the
web UI: a1111, which implements host, hooks, repeat, switch and tab.
"""
