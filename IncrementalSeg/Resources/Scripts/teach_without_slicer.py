"""Teach a model a structure and segment scans with it, in plain Python.

python teach_without_slicer.py MODEL DATA STRUCTURE OUTPUT SCAN [SCAN ...]

DATA is a data set: an nnU-Net or Decathlon folder, or a manifest; the panel writes one for every step that it teaches.
"""

import sys
from typing import Any

from IncrementalSegLib import learn, segment


def main(model: str, data: str, structure: str, output: str, *scans: str, **options: Any) -> None:
    """Teach, say whether the older structures were kept, then segment."""
    result = learn(model, data, structure, **options)
    print(f"Version {result.record.number}: {result.to_json()['retention']['sentence']}")
    for path in segment(model, list(scans), output).outputs:
        print(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
