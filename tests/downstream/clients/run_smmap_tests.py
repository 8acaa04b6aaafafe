"""Runs smmap's own tests on smmap_typed.

Usage: run_smmap_tests.py FOLDER TEST..., where FOLDER holds smmap's ``test`` package.
"""

import random
import sys
import unittest

from smmap_typed import compat

compat.install()
# The package ``smmap.test`` is no part of what is replaced, so it is found where the test has put it.
sys.modules["smmap"].__path__ = [sys.argv[1]]
random.seed(0)
unittest.main(module=None, argv=["unittest", *sys.argv[2:]])
