"""Fixed inputs of a step, and the networks and memories that it begins with."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch

from IncrementalSegLib.engine.carried import CarriedState, read_carried_state
from IncrementalSegLib.engine.models import LoadedModel, load
from IncrementalSegLib.engine.parallel.group import require_shares
from IncrementalSegLib.engine.runtime import Runtime
from IncrementalSegLib.engine.settings import StepSettings
from IncrementalSegLib.engine.step.data import StepData
from IncrementalSegLib.engine.step.fitted import fitted_config, is_fitted, within_memory
from IncrementalSegLib.engine.step.presets import Preset, find_preset
from IncrementalSegLib.engine.step.remembering import voxel_counts
from IncrementalSegLib.engine.step.request import StepRequest
from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.methods.base.context import MethodState, StepContext
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.progress import Phase, Progress, Share
from IncrementalSegLib.prototypes.bank import PrototypeBank
from IncrementalSegLib.registry import find
from IncrementalSegLib.sampling.reading import CaseReader


@dataclass(frozen=True)
class StepSetup:
    """Inputs of a step.

    Attributes:
        request: The task, checked.
        settings: How it is done.
        runtime: Device and precision.
        preset: Network size and schedule.
        reader: Reads the cases and collects their notes.
        progress: Receives progress.
    """

    request: StepRequest
    settings: StepSettings
    runtime: Runtime
    preset: Preset
    reader: CaseReader
    progress: Progress

    @classmethod
    def of(cls, request: StepRequest, settings: StepSettings, runtime: Runtime, progress: Progress) -> StepSetup:
        """Choose the preset, by the device where the settings name none.

        Raises:
            OptionError: There are more processes than items of a batch.
        """
        name = settings.preset or ("standard" if runtime.device.type == "cuda" else "quick")
        preset = find_preset(name, find("network", request.network).dimension)
        preset = replace(preset, batch=settings.batch or preset.batch)
        require_shares(preset.batch, runtime.group)
        if request.parent is None and is_fitted(request.network):
            preset = within_memory(preset, runtime)
        return cls(request, settings, runtime, preset, CaseReader(request.cases, strict=settings.strict), progress)

    def predictor(self, model: Segmenter, plan: Plan) -> Predictor:
        """Return a predictor on the device of the step."""
        return Predictor(model, plan, self.runtime.device, self.runtime.autocast)


def grow(setup: StepSetup, data: StepData, loaded: LoadedModel | None = None) -> StepContext:
    """Build the network of a step with its new outputs, its teacher, and the state carried from earlier steps.

    Args:
        setup: The step.
        data: Its plan and training scans.
        loaded: The version that the step continues, where it is loaded already; its network becomes the teacher.
    """
    request, settings, runtime = setup.request, setup.settings, setup.runtime
    dimension = find("network", request.network).dimension
    carried = CarriedState(MethodState(), ExemplarMemory(), PrototypeBank(), {})
    teacher = None
    if request.folder is not None:
        teacher = (load(request.folder, runtime) if loaded is None else loaded).segmenter
        model = copy.deepcopy(teacher)
        carried = read_carried_state(request.folder)
    else:
        if is_fitted(request.network):
            config = fitted_config(request.network, setup.preset, data.plan)
        else:
            config = setup.preset.config(request.network, data.plan.channels)
        model = Segmenter(request.method.design(config.model_copy(update={"output": request.method.output})))
    ctx = StepContext(
        model=model,
        teacher_model=teacher,
        structures=request.structures.ids,
        new=request.taught,
        memory=carried.method,
        exemplars=carried.exemplars,
        prototypes=carried.prototypes,
        cases=data.train.prepared,
        voxel_counts=carried.voxel_counts | voxel_counts(data.train.prepared, request.taught),
        device=runtime.device,
        step=request.step,
        seed=settings.seed,
        plan=data.plan,
        text=request.text,
        progress=Share.of(setup.progress, Phase.PREPARING),
    )
    if model.tasks is not None and model.tasks.networks.packed and not request.method.keeps_tasks:
        model.tasks = None  # the kernels of all tasks will move
    elif model.tasks is not None:
        model.tasks.networks.store(model)
    fresh = [item for item in request.taught if item not in model.structures]
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn from torch's global generator
        torch.manual_seed(settings.seed)
        request.method.grow(model, fresh, ctx)
    runtime.place(model, dimension)
    return ctx
