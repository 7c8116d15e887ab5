"""Engines for front ends with model patchers, ComfyUI and Forge's family: objects that hold a model, and what is to be
done to it while it computes."""
