"""Engines of sdtrt in AUTOMATIC1111's web UI.

Pure: index, calls, options, lora, view. On the GPU, with torch and TensorRT-RTX: engine, refit and
weights, which unet uses once an engine fits. What touches the web UI: a1111, hooks and tab alone.
"""
