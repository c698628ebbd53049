"""Enter new namespaces with a bare file system, then run a command: what bubblewrap does, where it is not installed.

Run as a script of its own (`python namespaces.py SETTINGS COMMAND...`), since a process that has threads cannot enter
a user namespace; imports nothing of the project. SETTINGS is JSON: `mount` (an empty folder that becomes the new
root), `readable` (paths shown read-only) and `work_mib` (size of /sandbox, the only place to write). Exit status: the
command's, 128 + signal when it was killed, 125 when the kernel does not allow it.
"""

import ctypes
import json
import os
import sys

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 2, 4, 4096, 16384, 1 << 18, 2
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID = 442, -100, 0x8000, 1, 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, SIGKILL = 1, 4, 9
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
CANNOT = 125

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    """Raise OSError with the C library's reason when a call failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Mount `source` on `target`."""
    words = [word.encode() if word else None for word in (source, target, kind)]
    check(libc.mount(*words, ctypes.c_ulong(flags), data.encode() or None), f"mount {target}")


def enter() -> None:
    """Leave the parent's namespaces: mounts, network, processes, IPC, host name, and users unless root."""
    apart = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0 and libc.unshare(apart) == 0:
        return
    check(libc.unshare(apart | CLONE_NEWUSER), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as handle:
            handle.write(text)


def build_root(root: str, readable: "list[str]", work_mib: int) -> None:
    """Make `root` the file system: the readable paths and three devices read-only, and an empty /sandbox."""
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    for path in [*readable, *DEVICES]:
        bind(root, path)
    os.mkdir(f"{root}/sandbox")
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, 0, 0)
    arguments = (ctypes.c_long(AT_FDCWD), root.encode(), ctypes.c_long(AT_RECURSIVE), attributes, ctypes.c_long(32))
    check(libc.syscall(ctypes.c_long(SYS_MOUNT_SETATTR), *arguments), "mount_setattr")
    mount("tmpfs", f"{root}/sandbox", "tmpfs", MS_NOSUID | MS_NODEV, f"mode=777,size={work_mib}m,nr_inodes=4096")
    os.chdir(root)
    check(libc.pivot_root(b".", b"."), "pivot_root")
    check(libc.umount2(b".", MNT_DETACH), "umount2")
    os.chdir("/sandbox")


def bind(root: str, path: str) -> None:
    """Show `path` in the new root: a link as a link, a folder or a file as itself."""
    target = root + path
    if os.path.lexists(target) or not os.path.exists(path):
        return
    os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), target)
        return
    if os.path.isdir(path):
        os.mkdir(target, 0o755)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    mount(path, target, "", MS_BIND | MS_REC)


def status_of(child: int) -> int:
    """Wait for a child; return its exit status, 128 + signal when it was killed."""
    _, status = os.waitpid(child, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def first_process(command: "list[str]") -> int:
    """Be process 1 of the new namespace: when it ends, the kernel kills whatever the command has left behind."""
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    child = os.fork()
    if child == 0:
        # A second user namespace: over the mounts of the first the command then has no rights.
        if os.geteuid() != 0:
            check(libc.unshare(CLONE_NEWUSER), "unshare")
        os.execv(command[0], command)
    while True:
        done, status = os.wait()
        if done == child:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def main() -> int:
    """Enter, fork into the new process namespace, run the command."""
    os.umask(0o022)
    settings, command = json.loads(sys.argv[1]), sys.argv[2:]
    try:
        enter()
        libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)  # after enter(), which would clear it
        build_root(settings["mount"], settings["readable"], settings["work_mib"])
    except OSError as error:
        print(error, file=sys.stderr)
        return CANNOT
    child = os.fork()
    if child == 0:
        os._exit(first_process(command))
    return status_of(child)


if __name__ == "__main__":
    sys.exit(main())
