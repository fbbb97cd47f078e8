"""Terminologies for the real logic, written from the library's own table: slicer-core brings none."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERAL = "Segmentation category and type - 3D Slicer General Anatomy list"
DICOM = "Segmentation category and type - DICOM master list"
REGIONS = "Anatomic codes - DICOM master list"
SCHEMA = "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/segment-context-schema.json#"
SIDES = (("SCT", "24028007", "Right"), ("SCT", "7771000", "Left"))


def write(folder):
    """Write the three files that vtkSlicerTerminologiesModuleLogic loads by default."""
    data = json.loads((ROOT / "IncrementalSegLib" / "terminology.json").read_text(encoding="utf-8"))
    for file, name, context in (("SlicerGeneralAnatomy", GENERAL, "general"), ("DICOM-Master", DICOM, "dicom")):
        rows = [row for row in data["structures"] if context in {row.get("context", "general"), "dicom"}]
        codes = {"Category": _categories(data, rows)}
        content = {"SegmentationCategoryTypeContextName": name, "@schema": SCHEMA, "SegmentationCodes": codes}
        _save(Path(folder) / f"SegmentationCategoryTypeModifier-{file}.term.json", content)
    regions = {tuple(row["region"]) for row in data["structures"] if "region" in row}
    listed = [_code(region) | {"Modifier": [_code(side) for side in SIDES]} for region in sorted(regions)]
    schema = SCHEMA.replace("segment", "anatomic")
    content = {"AnatomicContextName": REGIONS, "@schema": schema, "AnatomicCodes": {"AnatomicRegion": listed}}
    _save(Path(folder) / "AnatomicRegionAndModifier-DICOM-Master.term.json", content)


def _categories(data, rows):
    found = []
    for key, code in data["categories"].items():
        types = {tuple(row["type"]): _type(row) for row in rows if row.get("category", "structure") == key}
        found.append(_code(code) | {"showAnatomy": "true", "Type": list(types.values())})
    return found


def _type(row):
    color, name = {"recommendedDisplayRGBValue": row["color"]}, row["names"][0]
    if not row.get("paired", False) or "region" in row:
        return _code(row["type"]) | color | {"3dSlicerLabel": name}
    sided = [_code(side) | color | {"3dSlicerLabel": f"{side[2].lower()} {name}"} for side in SIDES]
    return _code(row["type"]) | {"Modifier": sided}


def _code(parts):
    return dict(zip(("CodingSchemeDesignator", "CodeValue", "CodeMeaning"), parts, strict=True))


def _save(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
