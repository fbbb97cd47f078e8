"""The CMake files on a small imitation of Slicer's: they are understood, complete, and install all in one place."""

import shutil
import subprocess

import pytest
from extension_files import LIBRARY, MODULE, ROOT, cmake_value

CMAKE = shutil.which("cmake")
VERSION = (3, 28)
SCRIPTED = "lib/Slicer-5.12/qt-scripted-modules"

# What the macros of Slicer and CTK do with files, no more; where they complain, this complains.
SLICER = """
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/nothing.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/nothing.cmake)
"""
USE_SLICER = """
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR @SCRIPTED@)
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR @SCRIPTED@)
set(BUILD_TESTING ON)
function(ctkMacroCompilePythonScript)
  cmake_parse_arguments(MY "NO_INSTALL_SUBDIR" "TARGET_NAME;DESTINATION_DIR;INSTALL_DIR" "SCRIPTS;RESOURCES" ${ARGN})
  foreach(name TARGET_NAME SCRIPTS DESTINATION_DIR INSTALL_DIR)
    if(NOT MY_${name})
      message(FATAL_ERROR "${name} is mandatory")
    endif()
  endforeach()
  foreach(file ${MY_SCRIPTS} ${MY_RESOURCES})
    configure_file(${file} ${MY_DESTINATION_DIR}/${file} COPYONLY)
  endforeach()
  add_custom_target(Copy${MY_TARGET_NAME} ALL)
  install(DIRECTORY ${MY_DESTINATION_DIR}/ DESTINATION ${MY_INSTALL_DIR})
endfunction()
function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "Unknown keywords: ${MY_UNPARSED_ARGUMENTS}")
  endif()
  foreach(file ${MY_SCRIPTS} ${MY_RESOURCES})
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
      message(FATAL_ERROR "There is no ${file}")
    endif()
  endforeach()
  ctkMacroCompilePythonScript(TARGET_NAME ${MY_NAME} SCRIPTS "${MY_SCRIPTS}" RESOURCES "${MY_RESOURCES}"
    DESTINATION_DIR ${CMAKE_BINARY_DIR}/@SCRIPTED@ INSTALL_DIR @SCRIPTED@ NO_INSTALL_SUBDIR)
endfunction()
function(slicer_add_python_unittest)
  cmake_parse_arguments(MY "" "SCRIPT;TESTNAME_PREFIX" "SLICER_ARGS" ${ARGN})
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${MY_SCRIPT})
    message(FATAL_ERROR "There is no ${MY_SCRIPT}")
  endif()
endfunction()
"""


def call(*arguments):
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """Return the root of a copy of what CMake reads, configurable with the CMake that is here."""
    if CMAKE is None:
        pytest.skip("cmake is not here")
    folder = tmp_path_factory.mktemp("extension")
    skip = shutil.ignore_patterns("__pycache__")
    for part in (LIBRARY, MODULE):
        shutil.copytree(part, folder / part.name, ignore=skip)
    here = tuple(int(part) for part in call(CMAKE, "--version").split()[2].split(".")[:2])
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    if here < VERSION:
        text = text.replace("3.28.0...3.28.0", "3.20")
    text = text.replace("project(IncrementalSeg)", "project(IncrementalSeg NONE)")  # no compiler is needed
    (folder / "CMakeLists.txt").write_text(text, encoding="utf-8")
    slicer = folder / "slicer"
    slicer.mkdir()
    (slicer / "SlicerConfig.cmake").write_text(SLICER, encoding="utf-8")
    (slicer / "UseSlicer.cmake").write_text(USE_SLICER.replace("@SCRIPTED@", SCRIPTED), encoding="utf-8")
    (slicer / "nothing.cmake").write_text("", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def installed(copied):
    """Return the folder of scripted modules that the extension installs."""
    build, target = copied / "build", copied / "installed"
    call(CMAKE, "-S", copied, "-B", build, f"-DSlicer_DIR={copied / 'slicer'}")
    call(CMAKE, "--build", build)
    call(CMAKE, "--install", build, "--prefix", target)
    assert (build / SCRIPTED / "IncrementalSeg.py").is_file()
    assert (build / SCRIPTED / "IncrementalSegLib" / "types.py").is_file()  # Slicer may be started from the build tree
    return target / SCRIPTED


def test_the_copy_is_of_the_current_template():
    assert "cmake_minimum_required(VERSION 3.28.0...3.28.0 FATAL_ERROR)" in (ROOT / "CMakeLists.txt").read_text()


def test_module_and_library_are_installed_side_by_side(installed):
    for path in ("IncrementalSeg.py", "IncrementalSegPanel/Panel.py", "IncrementalSegLib/worker/__main__.py"):
        assert (installed / path).is_file()
    assert (installed / "Resources" / "Icons" / "IncrementalSeg.png").is_file()


def test_every_file_that_the_library_needs_is_installed(installed):
    needed = {
        path.relative_to(LIBRARY)
        for path in LIBRARY.rglob("*")
        if path.suffix in (".py", ".json", ".jinja", ".css") or path.name in ("README.md", "py.typed")
    }
    found = {
        path.relative_to(installed / "IncrementalSegLib")
        for path in (installed / "IncrementalSegLib").rglob("*")
        if path.is_file()
    }
    assert found == needed


def test_nothing_compiled_is_installed(installed):
    assert not [path for path in installed.rglob("*") if path.name == "__pycache__" or path.suffix == ".pyc"]


def test_every_file_of_the_module_is_listed_and_every_listed_file_is_there():
    lists = MODULE / "CMakeLists.txt"
    names = [*cmake_value(lists, "MODULE_PYTHON_SCRIPTS"), *cmake_value(lists, "MODULE_PYTHON_RESOURCES")]
    listed = [name.replace("${MODULE_NAME}", "IncrementalSeg") for name in names]
    there = {
        path.relative_to(MODULE).as_posix()
        for path in MODULE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != "CMakeLists.txt"
    }
    assert len(listed) == len(set(listed))
    assert set(listed) == there
