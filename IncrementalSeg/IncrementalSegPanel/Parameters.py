"""The parameters of the panel that are saved with the scene."""

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import parameterNodeWrapper


@parameterNodeWrapper
class IncrementalSegParameterNode:
    """The panel's parameter node.

    Attributes:
        inputVolume: The scan to be segmented, where a person chose one; ``None``: the scan that is shown.
        segmentation: Where the result is put; ``None``: a new one.
        modelFolder: Folder of the open model; empty where none is.
        leftOut: Uuids of the structures not to be segmented; what is learned later is segmented too.
        uncertainty: Whether a map of uncertainty is made too.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    modelFolder: str
    leftOut: list[str]
    uncertainty: bool = False
