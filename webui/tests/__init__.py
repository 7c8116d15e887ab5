"""Tests the extension without a GPU, TensorRT or torch: `python3 -m unittest discover -s webui/tests -t webui`.
Only A1111 has stand-ins; everything else is the extension's own.
"""
from .web_ui import put_stand_ins

put_stand_ins()
