"""What the tests of the extension share: where things lie."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))
