"""Exports the UNet with torch.onnx in the way of the web UI's TensorRT extension by NVIDIA: opset 17, attention
written out, fp16, dynamic sizes. The project's own graphs are compared with this.
"""
import warnings

import torch

from unet import UNet, load_weights

OPSET = 17
AXES = {
    "sample": {0: "batch", 2: "height", 3: "width"},
    "timesteps": {0: "batch"},
    "encoder_hidden_states": {0: "batch", 1: "tokens"},
    "y": {0: "batch"},
    "latent": {0: "batch", 2: "height", 3: "width"},
}


def export(checkpoint, onnx, inputs):
    """Writes the ONNX file, and the weights beside it if they are too large for one file. The exporter traces the
    UNet with `inputs`, on their device."""
    device = inputs["sample"].device
    unet = UNet(load_weights(checkpoint, device, torch.float16))
    onnx.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # The legacy exporter is intended, and the sizes that it treats as constants are the same for all even
        # latents.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            unet,
            tuple(inputs.values()),
            str(onnx),
            opset_version=OPSET,
            dynamo=False,
            input_names=list(inputs),
            output_names=["latent"],
            dynamic_axes={name: AXES[name] for name in [*inputs, "latent"]},
        )
