"""sdtrt's engines in front ends: AUTOMATIC1111's web UI, Forge's family and ComfyUI.

Pure: index, signature, binding, calls, serving, options, loras, shapes, engines, overview, view. On the GPU, with
torch and TensorRT-RTX: engine and weights, which gpu combines once an engine fits, and look. Only the packages a1111,
forge and comfyui touch a front end; a1111 implements host for itself, and patchers for the two others.
"""
