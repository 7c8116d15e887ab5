"""The node 'Apply TensorRT engine'."""
from __future__ import annotations

from functools import partial
from typing import Any

from comfy.patcher_extension import WrappersMP
from comfy_api.latest import ComfyExtension, io

from ..patchers.labels import AUTOMATIC, NEVER, choice, labels
from ..place import data_folder
from .front import ComfyUi
from .jobs import Jobs

# The key of all of our wrappers.
KEY = "sdtrt"

jobs = Jobs(data_folder(), ComfyUi())


class ApplyEngine(io.ComfyNode):
    """Marks a model: engines compute what they can of its UNet."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        jobs.index_file.refresh()
        return io.Schema(
            node_id="SdtrtApplyEngine",
            display_name="Apply TensorRT engine",
            category="model/tensorrt",
            description=(
                "Computes the UNet with sdtrt's TensorRT engines where one fits, with the model's own weights and its "
                "LoRAs. Put it anywhere behind a checkpoint loader. What no engine can compute, PyTorch does, and the "
                "console says why."
            ),
            inputs=[
                io.Model.Input("model"),
                io.Combo.Input(
                    "engine",
                    options=[AUTOMATIC, *labels(jobs.catalogue.index), NEVER],
                    default=AUTOMATIC,
                    tooltip="'automatic' takes the fastest engine that fits each call.",
                ),
            ],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def validate_inputs(cls, engine: str) -> bool:
        """A workflow may name an engine of another machine: the one that fits is then taken."""
        return True

    @classmethod
    def execute(cls, model: Any, engine: str) -> io.NodeOutput:
        marked = model.clone()
        for kind, wrapper in wrappers(choice(engine, jobs.catalogue.index)).items():
            # Those of another such node before this one.
            marked.remove_wrappers_with_key(kind, KEY)
            if engine != NEVER:
                marked.add_wrapper_with_key(kind, KEY, wrapper)
        return io.NodeOutput(marked)


def wrappers(chosen: str | None) -> dict[str, Any]:
    """Returns what ComfyUI calls of ours, by where."""
    return {
        WrappersMP.OUTER_SAMPLE: jobs.job,
        WrappersMP.SAMPLER_SAMPLE: jobs.a_pass,
        WrappersMP.APPLY_MODEL: jobs.model,
        WrappersMP.DIFFUSION_MODEL: partial(jobs.unet, chosen),
    }


class Extension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [ApplyEngine]
