"""The UNet as torch.onnx writes it, the way the web UI's TensorRT extension by NVIDIA does: opset 17,
attention written down plainly, fp16, sizes dynamic. What the project's own graphs are measured
against."""
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
    """Writes the ONNX file, and the weights beside it if they are too many for one file. `inputs` are
    those of a call, by which the exporter follows the UNet; their device is where it runs."""
    device = inputs["sample"].device
    unet = UNet(load_weights(checkpoint, device, torch.float16))
    onnx.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # That the exporter is the older one is the point, and the sizes that it takes for constants
        # are the same for all even latents.
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
