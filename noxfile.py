"""Every check of the project, one session each; `nox` runs all that CI needs.

`nox --list` tells the sessions. Interpreters that are not on the machine are skipped, so the default run works with
one; versions, dependencies and groups are read from pyproject.toml, where alone they are written.
"""

import itertools
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Final

import nox
from python_discovery import get_interpreter

nox.needs_version = ">=2026.8.17"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = False
# Say that an interpreter is missing, rather than fetch one.
nox.options.download_python = "never"

PROJECT: Final = nox.project.load_toml("pyproject.toml")
VERSIONS: Final = nox.project.python_versions(PROJECT)
# The library's own steps do not rely on the GIL, so its tests run without it, too.
FREE_THREADED: Final = ["3.13t", "3.14t"]
# The unit tests of the default run: all on the interpreter that runs nox, and those of the library itself on the first
# version in which maps keep no descriptor, the only difference between versions that the library's books know.
OWN_VERSION: Final = ".".join(platform.python_version_tuple()[:2])
UNIT_VERSIONS: Final = dict.fromkeys((OWN_VERSION, "3.13"))
nox.options.sessions = [
    "plan",
    "lint",
    "types",
    f"unit-{OWN_VERSION}",
    *(f"core-{version}" for version in UNIT_VERSIONS if version != OWN_VERSION),
    "stateful",
    "races",
    "downstream",
    "docs",
]
PLATFORMS: Final = ["linux", "darwin", "win32"]

# Unit tests that a session of their own runs, under one interpreter and with what they need.
DOCUMENTATION_TESTS: Final = "tests/unit/project/test_documentation.py"
SITE_TESTS: Final = "tests/site"
STUB_TESTS: Final = "tests/unit/project/test_stubs.py"
BENCHMARK_TESTS: Final = "tests/unit/project/test_benchmarks.py"
PERFORMANCE_TESTS: Final = "tests/unit/project/test_performance_page.py"
SESSIONS_OF_THEIR_OWN: Final = (DOCUMENTATION_TESTS, STUB_TESTS, BENCHMARK_TESTS, PERFORMANCE_TESTS)
PAGE_TESTS: Final = "tests/unit/project/test_guarded_fields.py"
WHEEL_TESTS: Final = "tests/packaging/test_wheels.py"
# The state machines by themselves: the others show that machines find defects, or bring threads together.
MACHINE_TESTS: Final = tuple(
    f"tests/stateful/test_{name}.py" for name in ("machine", "copy_up", "scripted", "lifetimes")
)


def choose_all_of_pyenv() -> None:
    """Have nox find each interpreter that pyenv has installed.

    pyenv has a folder of shims, with the names of all versions. It may not be on the PATH; and a shim answers only if
    its version is chosen, which usually is one of them. So put the folder at the end of the PATH, and choose all. The
    first one is what `python3` alone stands for, so that stays the one that was chosen or that runs now.
    """
    root = Path(os.environ.setdefault("PYENV_ROOT", str(Path.home() / ".pyenv")))
    running = Path(sys.base_prefix)
    chosen = os.environ.get("PYENV_VERSION") or (running.name if running.is_relative_to(root) else "system")
    installed = sorted(path.parent.parent.name for path in root.glob("versions/3.*/bin/python"))
    os.environ["PYENV_VERSION"] = ":".join(dict.fromkeys([*chosen.split(":"), *installed]))
    os.environ["PATH"] += f"{os.pathsep}{root / 'shims'}"


choose_all_of_pyenv()
# As pip does, trust the certificates that the system trusts.
os.environ.setdefault("UV_NATIVE_TLS", "1")


def install(session: nox.Session, *groups: str) -> None:
    """Install the project, with its extra, and the dependency groups. Editable: an environment is never out of date."""
    session.install("-e.[cli]", *nox.project.dependency_groups(PROJECT, *groups))


def search(session: nox.Session, *command: str) -> None:
    """Run tests that search, on all cores: a little, always the same, or with `--deep` for longer."""
    arguments = [argument for argument in session.posargs if argument != "--deep"]
    profile = "deep" if "--deep" in session.posargs else "ci"
    session.run(*command, "--numprocesses=auto", *arguments, env={"SMMAP_TYPED_PROFILE": profile})


@nox.session(python=False)
def plan(session: nox.Session) -> None:
    """Tell what the default run needs, and which interpreters it does not find."""
    session.log("`nox` takes 8 to 9 minutes on two idle cores, and 1 GB of disk; `nox -s quick` takes one minute.")
    for version in UNIT_VERSIONS:
        if get_interpreter(version) is None:
            session.warn(f"There is no CPython {version} here, so the unit tests are not run on it.")


@nox.session(default=False)
def quick(session: nox.Session) -> None:
    """Check rules, format and types, and run the tests of the public API and of the pool: a first answer."""
    install(session, "quick")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy", "src")
    session.run("pytest", "--numprocesses=auto", "--quiet", "tests/unit/api", "tests/unit/pool", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check rules and format with ruff; `nox -s lint -- --fix` mends what can be mended."""
    session.install(*nox.project.dependency_groups(PROJECT, "lint"))
    fix = "--fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if fix else []))
    session.run("ruff", "format", *([] if fix else ["--check"]))


@nox.session
def types(session: nox.Session) -> None:
    """Check types, the public API, the stubs of smmap, and the benchmarks.

    With `--deep`, every version on every platform, and a second opinion on tests and benchmarks, too.
    """
    install(session, "types")
    deep = "--deep" in session.posargs
    # Without `--deep` the first and the last version, on the two platforms that differ most; pyright, which takes
    # longest, on the library only.
    ends = [(VERSIONS[0], "linux"), (VERSIONS[-1], "win32")]
    for version, name in itertools.product(VERSIONS, PLATFORMS) if deep else ends:
        session.run("mypy", "--python-version", version, "--platform", name)
    for version in (VERSIONS[0], VERSIONS[-1]) if deep else VERSIONS[:1]:
        session.run("pyright", "--pythonversion", version, "--pythonplatform", "Linux", *([] if deep else ["src"]))
    session.run("pyright", "--verifytypes", "smmap_typed", "--ignoreexternal")
    session.run("pytest", STUB_TESTS, BENCHMARK_TESTS, PERFORMANCE_TESTS)


@nox.session(python=[*VERSIONS, *FREE_THREADED])
def unit(session: nox.Session) -> None:
    """Run the unit tests under each interpreter that is here; arguments go to pytest."""
    install(session, "test", "peer")
    elsewhere = [f"--ignore={path}" for path in SESSIONS_OF_THEIR_OWN]
    session.run("pytest", "--numprocesses=auto", *elsewhere, "tests/unit", *session.posargs)


@nox.session(python=VERSIONS, default=False)
def core(session: nox.Session) -> None:
    """Run the unit tests of the library itself; `unit` adds those of the command line, the pages and the project."""
    install(session, "test", "peer")
    folders = [f"tests/unit/{name}" for name in ("api", "files", "pool", "reads")]
    session.run("pytest", "--numprocesses=auto", *folders, *session.posargs)


@nox.session
def stateful(session: nox.Session) -> None:
    """Run the state machines against the reference model; `--deep` searches for longer."""
    install(session, "test")
    search(session, "pytest", "tests/stateful")


@nox.session
def races(session: nox.Session) -> None:
    """Explore the interleavings of threads, and find every mutation; `--deep` tries many more."""
    install(session, "races")
    search(session, "frontrun", "pytest", "tests/races")
    if not session.posargs:
        # Skipped where spin or gcc is missing.
        session.run("pytest", "tests/spin/test_traces.py", "-k", "few")


@nox.session(default=False)
def formal(session: nox.Session) -> None:
    """Search the model of the pool to its end, find its mutations, follow traces of the library; needs spin and gcc.

    With `--deep`, what takes hours and 14 GiB of memory, too.
    """
    install(session, "races")
    deep = ["--deep"] if "--deep" in session.posargs else []
    session.run("nice", "python", "-m", "formal", *deep, external=True)
    search(session, "pytest", "tests/spin")


@nox.session(default=False)
def faults(session: nox.Session) -> None:
    """Let every system call fail, strike at every line, and let files misbehave; `--deep` strikes in every context."""
    install(session, "test")
    search(session, "pytest", "tests/faults")


@nox.session(python=[VERSIONS[0], *FREE_THREADED], default=False)
def stress(session: nox.Session) -> None:
    """Let threads do everything at once, for some seconds or for `--minutes N`; `--seed N` runs the same programs."""
    install(session, "test")
    session.run("pytest", "tests/stress", *session.posargs)


@nox.session(default=False)
def soak(session: nox.Session) -> None:
    """Let one process live for `--minutes N` with faults, and see that it holds no more at the end; draws a picture."""
    install(session, "test", "bench")
    session.run("pytest", "tests/soak", "--artefacts", str(Path(session.create_tmp(), "soak")), *session.posargs)


@nox.session
def downstream(session: nox.Session) -> None:
    """Run smmap's own tests, gitdb's, GitPython and the example of gitdb with this package in smmap's place."""
    install(session, "downstream")
    session.run("pytest", "tests/downstream", *session.posargs)


@nox.session(default=False)
def clients(session: nox.Session) -> None:
    """Let Pillow, pandas, pyarrow and numpy read real files through file objects and windows."""
    install(session, "clients")
    session.run("pytest", "tests/clients", *session.posargs)


@nox.session
def cluster(session: nox.Session) -> None:
    """Send cursors and buffers to the workers of joblib and Dask, and hash a file of 1 GiB there."""
    install(session, "cluster")
    session.run("pytest", "tests/cluster", *session.posargs)


@nox.session(default=False)
def guests(session: nox.Session) -> None:
    """Read under patched gevent, from asyncio, and beside pyfakefs: what docs/how-to/greenlets.md says."""
    install(session, "guests")
    session.run("pytest", "tests/guests", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Run every example, build the site into build/site with warnings as errors, and follow the links of both."""
    install(session, "docs", "test", "peer", "cluster")
    session.run("sphinx-build", "--fail-on-warning", "--nitpicky", "-q", "-b", "html", "docs", "build/site")
    session.run("pytest", DOCUMENTATION_TESTS, SITE_TESTS, *session.posargs)


@nox.session(default=False)
def compiled(session: nox.Session) -> None:
    """Build and try a wheel of each kind, and run every suite that needs no Python functions on the compiled one."""
    folder = Path(session.create_tmp(), "wheels")
    shutil.rmtree(folder, ignore_errors=True)
    session.install(*nox.project.dependency_groups(PROJECT, "wheels", "downstream"))
    # Without the other tests' settings, which need the library: it is not here yet.
    session.run("pytest", "--confcutdir=tests/packaging", WHEEL_TESTS, env={"SMMAP_TYPED_WHEELS": str(folder)})
    (wheel,) = folder.glob("compiled/wheels/*.whl")
    session.install("--force-reinstall", "--no-deps", str(wheel))
    session.install(f"{wheel}[cli]")
    session.run("python", "-c", "import smmap_typed; assert smmap_typed.COMPILED")
    elsewhere = [f"--ignore={path}" for path in SESSIONS_OF_THEIR_OWN]
    session.run("pytest", "--numprocesses=auto", *elsewhere, "tests/unit", "tests/stateful", "tests/faults")
    session.run("pytest", "tests/stress", "tests/downstream")


@nox.session(default=False)
def package(session: nox.Session) -> None:
    """Build and check both distributions, and run the unit tests on the wheel with the source out of the way."""
    session.install(*nox.project.dependency_groups(PROJECT, "package"))
    session.run("pytest", "--confcutdir=tests/packaging", f"--ignore={WHEEL_TESTS}", "tests/packaging")
    folder = Path(session.create_tmp(), "installed").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(folder / "dist"))
    (wheel,) = (folder / "dist").glob("*.whl")
    session.install("--force-reinstall", f"{wheel}[cli]")
    # What the tests read beside the installed library; `src` is not among it.
    for name in ("tests", "docs"):
        shutil.copytree(name, folder / name)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(name, folder)
    elsewhere = [f"--ignore={path}" for path in (*SESSIONS_OF_THEIR_OWN, PAGE_TESTS)]
    with session.chdir(folder):
        session.run("pytest", "--numprocesses=auto", *elsewhere, "tests/unit")


@nox.session(default=False)
def api(session: nox.Session) -> None:
    """Find what users lose since the last tag, or since a commit: `nox -s api -- main~20`."""
    session.install(*nox.project.dependency_groups(PROJECT, "package"))
    tag = ("git", "describe", "--tags", "--abbrev=0", "--match=v*")
    since = session.posargs[0] if session.posargs else session.run(*tag, external=True, silent=True)
    command = ("griffe", "check", "smmap_typed", "--search", "src", "--extensions", "griffe_public_redundant_aliases")
    session.run(*command, "--against", str(since).strip())


@nox.session(python=VERSIONS[0], default=False)
def coverage(session: nox.Session) -> None:
    """See that the unit tests and state machines leave out no line and no branch but those that give a reason."""
    install(session, "test", "peer")
    elsewhere = [f"--ignore={path}" for path in SESSIONS_OF_THEIR_OWN]
    tests = ("pytest", "--numprocesses=auto", "-m", "not untraced", *elsewhere, "tests/unit", *MACHINE_TESTS)
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", *tests, *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session(default=False)
def mutation(session: nox.Session) -> None:
    """Break the code in every way that mutmut knows, and see that tests notice: `-- MODULE...` or `-- --since REF`."""
    install(session, "mutation")
    session.run("python", "tests/mutation/judge.py", *session.posargs, env={"SMMAP_TYPED_PROFILE": "quick"})


@nox.session(default=False)
def symbolic(session: nox.Session) -> None:
    """Have a solver prove the contracts of the pure parts: window arithmetic, limits, and who goes next."""
    install(session, "symbolic")
    contracts = "tests/symbolic/contracts.py"
    command = ("crosshair", "check", "--analysis_kind=asserts", "--report_all", "--per_condition_timeout=120")
    report = str(session.run(*command, contracts, silent=True))
    session.log(report)
    # What a solver gives up on is no success either.
    if report.count("Confirmed over all paths.") != Path(contracts).read_text().count("\ndef ") - 1:
        session.error("not every contract was confirmed")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Compare the speed of both builds with smmap's and with the bare system calls; `-- --help` tells more."""
    session.install("-e.", *nox.project.dependency_groups(PROJECT, "bench"))
    builds = [f"--build={name}={build(session, name)}" for name in ("pure", "compiled")]
    session.run("python", "-m", "benchmarks", *builds, *session.posargs)


def build(session: nox.Session, name: str) -> str:
    """Install the project as a user would, pure or compiled, into a folder of its own.

    By pip, since uv would take what it once built of this folder for any build of it.
    """
    folder = Path(session.create_tmp()).resolve() / name
    # What a former build left behind: setuptools would put it into the next one.
    for remains in (folder, Path("build")):
        shutil.rmtree(remains, ignore_errors=True)
    session.run(
        *("python", "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), "."),
        env={"SMMAP_TYPED_MYPYC": "1" if name == "compiled" else "0"},
    )
    shutil.rmtree("build", ignore_errors=True)
    return str(folder)
