"""Names of patients and scans that say nothing about them, and are the same for the same patient and scan."""

from __future__ import annotations

import hashlib
import uuid

import slicer

_MARK = "IncrementalSeg.id"
"""Attribute that says which scan it is; saved with the scene, whose files then lie elsewhere."""


def patientOf(volumeNode: slicer.vtkMRMLVolumeNode) -> str:
    """Return the pseudonym of a scan's patient: from the patient in the subject hierarchy, else of the scan alone."""
    hierarchy, item = _place(volumeNode)
    patient = hierarchy.GetItemAncestorAtLevel(item, "Patient") if item else 0
    if not patient:
        return f"patient-{_mark(volumeNode)[:8]}"
    known = hierarchy.GetItemAttribute(patient, "DICOM.PatientID") or hierarchy.GetItemUID(patient, "DICOM")
    return f"patient-{_digest(known or hierarchy.GetItemName(patient))[:8]}"


def caseOf(volumeNode: slicer.vtkMRMLVolumeNode) -> str:
    """Return the pseudonym of a scan, which it bears from then on."""
    return f"scan-{_mark(volumeNode)[:8]}"


def bears(volumeNode: slicer.vtkMRMLVolumeNode, case: str) -> bool:
    """Tell whether a case came from a scan; nothing is marked."""
    found = _pseudonym(volumeNode)
    return case == found or case.startswith(f"{found}-")


def named(text: str) -> str:
    """Return a text in which scans of the scene are called as they are in the scene."""
    for scan in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if "scan-" in text else ():
        text = text.replace(_pseudonym(scan), scan.GetName())
    return text


def _pseudonym(volumeNode: slicer.vtkMRMLVolumeNode) -> str:
    known = volumeNode.GetAttribute(_MARK) or _digest(_known(volumeNode))
    return f"scan-{known[:8]}"


def _mark(volumeNode: slicer.vtkMRMLVolumeNode) -> str:
    if not volumeNode.GetAttribute(_MARK):
        volumeNode.SetAttribute(_MARK, _digest(_known(volumeNode) or uuid.uuid4().hex))
    return volumeNode.GetAttribute(_MARK)


def _known(volumeNode: slicer.vtkMRMLVolumeNode) -> str:
    """Return what tells a scan from all others, its DICOM series or its file; empty where it has neither."""
    hierarchy, item = _place(volumeNode)
    series = hierarchy.GetItemUID(item, "DICOM") if item else ""
    storage = volumeNode.GetStorageNode()
    return series or (storage.GetFullNameFromFileName() if storage is not None and storage.GetFileName() else "")


def _place(volumeNode: slicer.vtkMRMLVolumeNode) -> tuple[slicer.vtkMRMLSubjectHierarchyNode, int]:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    return hierarchy, hierarchy.GetItemByDataNode(volumeNode)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
