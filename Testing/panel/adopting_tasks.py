"""Answers of the worker about folders of other programs."""

RIBS = "Total Segmentator~SCT^123037004^Anatomical Structure~SCT^25523003^Fourth rib~SCT^7771000^Left~~^^~^^"
FOLDER = "/results/Dataset012_Knee"


def origin(**changes):
    """Return where a network comes from."""
    return {
        "program": "nnU-Net v2",
        "folder": "Dataset012_Knee/nnUNetTrainer__nnUNetPlans__3d_fullres",
        "configuration": "3d_fullres",
        "trainer": "nnUNetTrainer",
        "folds": ["all"],
        "channels": ["T1"],
        "license": "",
    } | changes


def network(*names, **changes):
    """Return a network with structures."""
    return {
        "structures": [
            {"id": f"{number:032x}", "name": name, "step": 1, "color": [200, 40, 10 * number], "terminology": RIBS}
            for number, name in enumerate(names or ("left", "right"), 1)
        ],
        "overlapping": False,
        "dimension": 3,
        "spacing": [2.5, 1.0, 1.0],
        "mirrors": True,
        "origin": origin(),
    } | changes


def found(*folders, **changes):
    """Return what a folder holds: networks by name and folder, and the only one."""
    networks = [{"name": name, "folder": folder} for name, folder in folders or (("Knee", FOLDER),)]
    return {
        "program": "nnU-Net v2",
        "networks": networks,
        "network": network() if len(networks) == 1 else None,
    } | changes
