"""Engines for ComfyUI. The node's module is `node`; importing this one imports nothing of ComfyUI's."""
