"""Runs gitdb's own tests with smmap_typed in smmap's place.

Usage: run_gitdb_tests.py ARGUMENT..., in the folder of gitdb's source distribution; arguments go to pytest.
"""

import os
import random
import sys
from importlib import import_module

import pytest

from smmap_typed import SlidingWindowMapManager, compat

compat.install()
# The gitdb of the source distribution, not the installed one, which comes without its tests' data.
sys.path.insert(0, os.getcwd())
assert import_module("gitdb").__file__ == os.path.join(os.getcwd(), "gitdb", "__init__.py")
assert type(import_module("gitdb.util").mman) is SlidingWindowMapManager
random.seed(0)
sys.exit(pytest.main(sys.argv[1:]))
