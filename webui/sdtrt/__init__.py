"""Engines of sdtrt in AUTOMATIC1111's web UI.

Pure: index, calls, options, machine, lora. On the GPU, with torch and TensorRT-RTX: engine, refit,
weights, unet. What touches the web UI: a1111, hooks and tab alone.
"""
