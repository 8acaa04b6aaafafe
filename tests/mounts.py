"""Mounts that only the running child process sees: overlayfs, tmpfs, and a folder bound to a second name.

Root may mount; others may where the system lets them have a user namespace. Where neither works, tests are skipped.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

__all__ = ["bound", "enter_mount_namespace", "mounted", "overlay"]

# Of <sched.h> and <sys/mount.h>; the module `os` has those of the first from Python 3.12 on.
_CLONE_NEWNS: Final = 0x20000
_CLONE_NEWUSER: Final = 0x10000000
_MS_NOSUID: Final = 2
_MS_NODEV: Final = 4
_MS_BIND: Final = 4096
_MS_REC: Final = 16384
_MS_PRIVATE: Final = 1 << 18
_MNT_DETACH: Final = 2

_NOT_HERE: Final = (errno.EPERM, errno.EACCES, errno.ENODEV, errno.ENOENT, errno.ENOSYS, errno.ENOSPC)
"""What a system says that cannot, or does not let us, do it."""


def enter_mount_namespace() -> None:
    """Let no other process see what this one mounts from here on. It must have one thread."""
    if sys.platform != "linux":
        raise NotImplementedError
    user, group = os.geteuid(), os.getegid()
    try:
        try:
            _check(_libc().unshare(_CLONE_NEWNS), "unshare")
        except PermissionError:
            _check(_libc().unshare(_CLONE_NEWNS | _CLONE_NEWUSER), "unshare")
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {user} 1")
            Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        _mount("none", Path("/"), "none", _MS_REC | _MS_PRIVATE)
    except OSError as error:
        _skip(error, "mount namespace")


@contextmanager
def mounted(kind: str, folder: Path, options: str = "") -> Generator[Path]:
    """A file system of this ``kind`` at ``folder``."""
    folder.mkdir(exist_ok=True)
    try:
        _mount(kind, folder, kind, _MS_NOSUID | _MS_NODEV, options)
    except OSError as error:
        _skip(error, kind)
    try:
        yield folder
    finally:
        _unmount(folder)


@contextmanager
def overlay(folder: Path, contents: Mapping[str, bytes]) -> Generator[Path]:
    """An overlayfs whose lower layer has files of these ``contents``; what is written goes to an upper layer.

    Both are on one tmpfs, so that it also works in a container whose own files are on an overlayfs.
    """
    with mounted("tmpfs", folder):
        lower, upper, work, merged = (folder / name for name in ("lower", "upper", "work", "merged"))
        for layer in (lower, upper, work):
            layer.mkdir()
        for name, content in contents.items():
            (lower / name).write_bytes(content)
        with mounted("overlay", merged, f"lowerdir={lower},upperdir={upper},workdir={work}"):
            yield merged


@contextmanager
def bound(folder: Path, second: Path) -> Generator[Path]:
    """``folder``, seen at ``second``, too."""
    second.mkdir(exist_ok=True)
    _mount(str(folder), second, "none", _MS_BIND)
    try:
        yield second
    finally:
        _unmount(second)


def _mount(source: str, target: Path, kind: str, flags: int, options: str = "") -> None:
    arguments = (os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode())
    _check(_libc().mount(*arguments), f"mount of {kind}")


def _unmount(target: Path) -> None:
    """Take it away at once, whatever is still open there."""
    _check(_libc().umount2(os.fsencode(target), _MNT_DETACH), "umount")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _skip(error: OSError, what: str) -> None:
    """Skip the test if the system cannot make ``what``; else it is an error of ours."""
    if error.errno not in _NOT_HERE:
        raise error
    pytest.skip(f"the system gives no {what}: {error}")
