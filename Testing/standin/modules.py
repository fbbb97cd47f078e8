"""The Python packages that Slicer's application adds: ``slicer.i18n``, ``slicer.packaging`` and so on."""

import sys
import types

from standin import packaging, parameters, scripted
from standin.widgets import charts, mrml, segments, terminologies


def start(slicer):
    """Make them importable, and put the widgets of MRML into ``slicer``."""
    for part in (mrml, segments, terminologies, charts):
        for name in part.WIDGETS:
            setattr(slicer, name, getattr(part, name))
    texts = types.ModuleType("slicer.i18n")
    texts.tr = lambda text: text
    texts.translate = lambda _context, text: text
    _add(slicer, "i18n", texts)
    _add(slicer, "ScriptedLoadableModule", scripted)
    _add(slicer, "parameterNodeWrapper", parameters)
    _add(slicer, "packaging", packaging)
    slicer.selfTests = {}


def _add(slicer, name, module):
    sys.modules[f"slicer.{name}"] = module
    setattr(slicer, name, module)
