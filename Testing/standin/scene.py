"""The real MRML scene, with the logics of Slicer's modules around it."""

import types

from standin import hierarchy, terminology

LOGICS = {  # module -> class of its logic
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Volumes": "vtkSlicerVolumesLogic",
}


def start(slicer, folder):
    """Give ``slicer`` its scene and its modules' logics."""
    import vtk

    scene, logic = slicer.vtkMRMLScene(), slicer.vtkSlicerApplicationLogic()
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)
    logic.SetMRMLScene(scene)  # makes the singletons that other logics look for
    logic.SetSliceLogics(vtk.vtkCollection())
    logic.SetViewLogics(vtk.vtkCollection())
    logic.SetTemporaryPath(str(folder))
    logic.GetColorLogic().SetMRMLScene(scene)
    logic.GetColorLogic().AddDefaultColorNodes()
    slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance().SetMRMLApplicationLogic(logic)
    _file_access(slicer, scene, folder)
    slicer.mrmlScene = scene
    hierarchy.start(slicer)
    slicer.modules = types.SimpleNamespace(applicationLogic=logic)
    terminology.write(folder)
    for name, kind in LOGICS.items():
        made = getattr(slicer, kind)()
        made.SetModuleShareDirectory(str(folder))
        made.SetMRMLApplicationLogic(logic)
        made.SetMRMLScene(scene)
        _add_module(slicer, name, made)
    _add_module(slicer, "Colors", logic.GetColorLogic())


def _file_access(slicer, scene, folder):
    """Let the scene read bundles (.mrb): it wants a cache even for local files."""
    place = folder / "cache"
    place.mkdir()
    (place / ".slicer-cache").touch()  # says that the folder is one
    cache, manager = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
    cache.SetRemoteCacheDirectory(str(place))
    manager.SetCacheManager(cache)
    scene.SetCacheManager(cache)
    scene.SetDataIOManager(manager)


def _add_module(slicer, name, logic):
    slicer.modules.applicationLogic.SetModuleLogic(name, logic)
    setattr(slicer.modules, name.lower(), types.SimpleNamespace(name=name, title=name, path="", logic=lambda: logic))
