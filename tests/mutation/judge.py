"""Mutation testing with mutmut, and the verdict: which mutants live, and whether each has its reason.

Run by ``nox -s mutation``: all modules that pyproject.toml names, or ``-- MODULE...``, or ``-- --since REF`` for those
that differ from a git revision. It fails if a mutant survives that survivors.toml does not list, if that lists one
which is killed, or if fewer than 95 % of a module's mutants are killed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple, TypedDict

ROOT: Final = Path(__file__).parents[2]
SURVIVORS: Final = Path(__file__).with_name("survivors.toml")
LEAST: Final = 0.95
"""Share of a module's mutants that tests must kill."""
KILLED: Final = frozenset({"killed", "timeout", "segfault"})
"""As mutmut says that a test failed, did not end, or took the interpreter with it."""


class Survivor(NamedTuple):
    """A mutant by what it changes: its number would change with each line before it."""

    function: str
    """``module.Class.function``."""
    before: str
    """The lines that it replaces, stripped."""
    after: str


class Entry(TypedDict):
    """One table of survivors.toml."""

    function: str
    before: str
    after: str
    reason: str


def mutmut(*arguments: str) -> str:
    """What mutmut prints."""
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def mutated_modules() -> list[str]:
    """Names of the modules that pyproject.toml lets mutmut change."""
    settings = tomllib.loads(Path(ROOT, "pyproject.toml").read_text("utf-8"))["tool"]["mutmut"]
    return [dotted(path) for path in settings["only_mutate"]]


def changed_since(revision: str) -> set[str]:
    """Names of the modules that differ from that revision in this folder."""
    command = ["git", "diff", "--name-only", revision, "--", "src/smmap_typed"]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return {dotted(path) for path in printed.splitlines()}


def dotted(path: str) -> str:
    """The name of the module in that file, below the package."""
    return ".".join(Path(path).with_suffix("").relative_to("src/smmap_typed").parts)


def statuses(modules: list[str]) -> dict[str, str]:
    """What became of each mutant of the modules, by mutmut's name of it."""
    lines = (line.strip().rpartition(": ") for line in mutmut("results", "--all", "true").splitlines())
    return {name: status for name, _, status in lines if module_of(name) in modules}


def module_of(name: str) -> str:
    """The module of a mutant: smmap_typed._pool.ledger.xǁLedgerǁallows__mutmut_8 is one of _pool.ledger."""
    return name.partition(".")[2].rpartition(".")[0]


def survivor(name: str) -> Survivor:
    """What the mutant of that name changes."""
    changed = [line for line in mutmut("show", name).splitlines() if re.match(r"[-+](?!--|\+\+)", line)]
    before, after = (" ".join(line[1:].strip() for line in changed if line[0] == sign) for sign in "-+")
    # For instance smmap_typed._pool.replacement.xǁLRUǁvictim__mutmut_8, and smmap_typed._source.x_resolve__mutmut_2.
    mangled = name.rpartition("__mutmut_")[0].rpartition(".")[2]
    function = mangled.removeprefix("xǁ").removeprefix("x_").replace("ǁ", ".")
    return Survivor(f"{module_of(name)}.{function}", before, after)


def listed(modules: list[str]) -> dict[Survivor, str]:
    """The survivors of the modules that are known, with the reasons."""
    entries: list[Entry] = tomllib.loads(SURVIVORS.read_text("utf-8")).get("survivor", [])
    return {
        Survivor(entry["function"], entry["before"], entry["after"]): entry["reason"]
        for entry in entries
        if any(entry["function"].startswith(f"{module}.") for module in modules)
    }


def judge(modules: list[str]) -> bool:
    """Print a line for each module and each finding; whether there is no finding."""
    results = statuses(modules)
    total, killed = Counter[str](), Counter[str]()
    living: dict[Survivor, str] = {}
    for name, status in results.items():
        total[module_of(name)] += 1
        if status in KILLED:
            killed[module_of(name)] += 1
        else:
            living[survivor(name)] = f"{name}: {status}"
    known = listed(modules)
    good = bool(results)
    for module in modules:
        good &= killed[module] >= LEAST * total[module] and total[module] > 0
        share = 100 * killed[module] / max(total[module], 1)
        print(f"{module}: {total[module]} mutants, {killed[module]} killed, {share:.1f} % of at least {LEAST:.0%}")
    for mutant in living.keys() - known.keys():
        good = False
        print(f"{living[mutant]}, not listed\n  - {mutant.before}\n  + {mutant.after}")
    for mutant in known.keys() - living.keys():
        good = False
        print(f"{mutant.function} is listed, and killed or gone\n  - {mutant.before}\n  + {mutant.after}")
    return good


def main() -> int:
    """Make the mutants, run the tests on each, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "modules", nargs="*", metavar="MODULE", help="such as _pool.ledger; all of pyproject.toml by default"
    )
    parser.add_argument("--since", metavar="REF", help="the modules that differ from this git revision")
    parser.add_argument("--judge-only", action="store_true", help="take the results that are there")
    given = parser.parse_args()
    modules = mutated_modules()
    unknown = set(given.modules) - set(modules)
    if unknown:
        parser.error(f"pyproject.toml does not let mutmut change {', '.join(sorted(unknown))}")
    wanted = set(given.modules or modules)
    if given.since is not None:
        wanted &= changed_since(given.since)
    modules = [module for module in modules if module in wanted]
    if not modules:
        print("no module of those has changed")
        return 0
    if not given.judge_only:
        shutil.rmtree(ROOT / "mutants", ignore_errors=True)
        command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(os.cpu_count() or 1)]
        subprocess.run([*command, *(f"smmap_typed.{module}.*" for module in modules)], cwd=ROOT, check=True)
    return 0 if judge(modules) else 1


if __name__ == "__main__":
    sys.exit(main())
