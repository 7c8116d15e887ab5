"""Engines of sdtrt in AUTOMATIC1111's web UI.

Pure: index, signature, binding, calls, serving, options, loras, shapes, engines, overview, view. On the GPU, with torch
and TensorRT-RTX: engine and weights, which gpu brings together once an engine fits, and look. What touches the web UI:
a1111, which is all that host asks of a front end, hooks, repeat, switch and tab alone.
"""
