"""Start, interrupt, restart, crash and end of forked kernels, and of the process that they come from."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import Look, Start
from sage_prefork import provisioner
from support import Kernel, gone, maps, named, parent, until

FOREVER = {
    "a loop": "on(); n = 0\nwhile True: n += 1",
    "sleep": "on(); sleep(600)",
    "time.sleep": "import time; on(); time.sleep(600)",
    "input of a subprocess": "import subprocess; on(); subprocess.run(['sleep', '600'])",
    "PARI": "on(); factor(next_prime(10^60) * next_prime(10^61))",
    "PARI's own language": "on(); pari('while(1, )')",
    "Cython": "on(); Partitions(10^5).cardinality(); matrix(ZZ, 900, lambda i, j: (i * j) ^ 50).determinant()",
    "Maxima in the kernel": "maxima_calculus(1); on(); maxima_calculus('for i : 1 while true do i')",
    "Maxima as a process": "maxima('1'); on(); maxima('block(while true do 1, 1)')",
    "GAP in the kernel": "libgap(1); on(); libgap.eval('while true do od;')",
    "GAP as a process": "gap('1'); on(); gap.eval('while true do od;')",
    "Singular": "R.<a, b, c, d, e, f, g> = QQ[]; on(); sage.rings.ideal.Cyclic(R, 7).groebner_basis()",
}


def interrupt(work: str, kernel: Kernel, folder: Path) -> None:
    """It must end the cell and not the kernel."""
    on = folder / f"on{kernel.pid}"  # what is printed could not be shown while the work keeps all threads from running
    kernel.run(f"import pathlib; on = pathlib.Path('{on}').touch; kept = 42")
    request = kernel.send(FOREVER[work])
    until(on.exists)
    time.sleep(0.3)  # that is a moment before the work that is to be interrupted
    kernel.manager.interrupt_kernel()
    assert "Interrupt" in kernel.output(request)
    assert kernel.run("print(kept)") == "42"


@pytest.mark.parametrize("work", FOREVER)
def test_an_interrupt_ends_the_cell_and_not_the_kernel(work: str, start: Start, tmp_path: Path) -> None:
    interrupt(work, start(), tmp_path)


def test_an_interrupt_reaches_maxima_wherever_it_was_loaded(start: Start, another_server: None, tmp_path: Path) -> None:
    """In the kernel, or in the preforking process before the fork."""
    first = start()
    assert not maps(first.pid, "maxima.fas")
    interrupt("Maxima in the kernel", first, tmp_path)
    until(lambda: maps(parent(first.pid), "maxima.fas"))
    second = start()
    assert maps(second.pid, "maxima.fas")
    interrupt("Maxima in the kernel", second, tmp_path)


def test_a_restart_forgets_all_and_listens_on_the_same_ports(start: Start) -> None:
    """Also when processes of Sage's interfaces run, which have inherited the kernel's open ports."""
    kernel = start()
    kernel.run("kept = 42; gap('1'); maxima('1'); singular('1'); gp('1')")
    ports, pid = kernel.manager.get_connection_info(), kernel.pid
    kernel.restart()
    assert kernel.forked
    assert kernel.manager.get_connection_info() == ports
    assert gone(pid)
    assert kernel.run("print('kept' in globals(), gap('1') + 1)") == "False 2"


def test_a_kernel_that_is_shut_down_cleans_up(start: Start, tmp_path: Path) -> None:
    """What was registered with atexit runs, nothing of it stays, and the exit code is that of a plain kernel."""
    codes = []
    for name in ("forked", "plain"):
        kernel = start(name)
        process = kernel.manager.provisioner.process
        kernel.run(
            f"import atexit, pathlib\natexit.register(pathlib.Path('{tmp_path}/{name}').write_text, 'bye'); gap('1')"
        )
        helper = int(kernel.run("print(gap.pid())"))
        kernel.shut_down()
        assert (tmp_path / name).read_text() == "bye"
        until(lambda helper=helper, kernel=kernel: gone(kernel.pid, helper))
        codes.append(process.wait())
    assert codes == [0, 0]


@pytest.mark.parametrize(
    ("death", "code"),
    [
        ("os._exit(3)", 3),
        ("os.kill(os.getpid(), 9)", -9),
        ("os.kill(os.getpid(), 15)", -15),
        ("import ctypes, signal; signal.signal(11, signal.SIG_DFL); os.kill(os.getpid(), 11)", -11),
    ],
)
def test_a_crash_is_told_with_its_exit_code_and_leaves_other_kernels_alone(death: str, code: int, start: Start) -> None:
    other, kernel = start(), start()
    other.run("kept = 42")
    pid = kernel.pid
    kernel.send(f"import os; {death}")
    until(lambda: not kernel.manager.is_alive())
    assert kernel.exit_code == code
    assert gone(pid)
    assert other.run("print(kept)") == "42"
    kernel.restart()
    assert kernel.run("1 + 1") == "2"


def test_a_busy_process_tells_the_exit_code_when_it_can(start: Start) -> None:
    """As when it loads Maxima. It is stopped here for longer than that takes; until it tells, the kernel counts."""
    kernel = start()
    busy = parent(kernel.pid)
    os.kill(busy, signal.SIGSTOP)
    try:
        kernel.send("import os; os._exit(3)")
        until(lambda: kernel.pid not in named("sage-kernel"))
        for _ in range(30):
            assert kernel.manager.is_alive()
            time.sleep(0.1)
    finally:
        os.kill(busy, signal.SIGCONT)
    until(lambda: not kernel.manager.is_alive())
    assert kernel.exit_code == 3


def test_signals_reach_the_kernel_and_what_it_started(start: Start) -> None:
    kernel = start()
    child = int(kernel.run("import subprocess; print(subprocess.Popen(['sleep', '600']).pid)"))
    kernel.manager.signal_kernel(signal.SIGKILL)
    until(lambda: not kernel.manager.is_alive())
    until(lambda: gone(kernel.pid, child))
    assert kernel.exit_code == -signal.SIGKILL


def test_what_a_kernel_writes_past_jupyter_is_in_the_log_of_the_server(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    code = "import os, sys; os.write(sys.{0}._original_stdstream_copy, b'written to {0}')"
    kernel = start()
    for stream in ("stdout", "stderr"):
        kernel.run(code.format(stream))
    log = capfd.readouterr()
    assert "written to stdout" in log.out
    assert "written to stderr" in log.err


def test_two_first_requests_at_once_import_sage_once(start: Start, another_server: None) -> None:
    before = named("sage-prefork")
    kernels: list[Kernel] = []
    threads = [threading.Thread(target=lambda: kernels.append(start())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [kernel.forked for kernel in kernels] == [True] * 3
    assert len({parent(kernel.pid) for kernel in kernels} - before) == 1
    assert len(named("sage-prefork") - before) == 1


SERVER = """
import os, sys
from support import Kernel, parent
kernels = [Kernel("forked"), Kernel("forked")]
helper = kernels[0].run("print(gap.pid() if gap('1') else None)")
print(parent(kernels[0].pid), *(kernel.pid for kernel in kernels), helper, flush=True)
sys.stdin.read()
"""


def server() -> "subprocess.Popen[str]":
    """Another process that starts kernels; it prints process ids: the preforking one, two kernels, a helper of one."""
    return subprocess.Popen(
        [sys.executable, "-c", SERVER],
        cwd=Path(__file__).parent, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("stopped", [False, True])
def test_everything_ends_with_the_server(stopped: bool) -> None:
    """However it ends, and even if the preforking process is stopped at that moment."""
    process = server()
    assert process.stdout
    pids = list(map(int, process.stdout.readline().split()))
    assert not any(gone(pid) for pid in pids)
    if stopped:
        os.kill(pids[0], signal.SIGSTOP)
    process.kill()
    process.wait()
    if stopped:
        until(lambda: not set(pids[1:3]) & named("sage-kernel"))
        os.kill(pids[0], signal.SIGCONT)
    until(lambda: gone(*pids))


def test_nothing_runs_before_the_first_kernel_and_for_long_after_the_last(
    start: Start, another_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGE_PREFORK_IDLE", "1")
    before = named("sage-prefork")
    kernel = start()
    (process,) = named("sage-prefork") - before
    time.sleep(2)
    assert not gone(process), "it has a kernel"
    kernel.shut_down()
    until(lambda: gone(process))
    again = start()
    assert again.forked
    assert parent(again.pid) != process


def test_when_memory_runs_out_the_preforking_process_goes_first_and_no_kernel_with_it(
    start: Start, another_server: None
) -> None:
    """What the system does then is to kill it."""
    kernel = start()
    process = parent(kernel.pid)
    assert Path(f"/proc/{process}/oom_score_adj").read_text() == "1000\n"
    assert Path(f"/proc/{kernel.pid}/oom_score_adj").read_text() == Path("/proc/self/oom_score_adj").read_text()
    kernel.run("kept = 42")
    assert (provisioner.preforker.killed, provisioner.preforker.pids) == (0, [process])
    os.kill(process, signal.SIGKILL)
    until(lambda: provisioner.preforker.killed == 1)
    assert provisioner.preforker.pids == []
    assert kernel.run("print(kept)") == "42"
    assert start().forked


def test_only_what_kernels_use_is_loaded_for_the_next(start: Start, look: Look, another_server: None) -> None:
    kernel = start()
    process = parent(kernel.pid)
    kernel.run("integrate(x, x)")
    until(lambda: maps(process, "maxima.fas"))
    look(process)
    assert not maps(process, "ft2font")


def test_nothing_is_loaded_while_the_machine_is_busy(
    start: Start, look: Look, another_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGE_PREFORK_BUSY", "-1")
    kernel = start()
    kernel.run("integrate(x, x)")
    look(parent(kernel.pid))
    assert not maps(parent(kernel.pid), "maxima.fas")


def test_a_package_that_was_installed_meanwhile_is_there_in_the_next_kernel(
    start: Start, another_server: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As `%pip install --user` and a restart of the kernel."""
    monkeypatch.setenv("PYTHONUSERBASE", str(tmp_path))
    old = start()
    folder = Path(old.run("import site; print(site.getusersitepackages())"))
    assert folder.is_relative_to(tmp_path)
    folder.mkdir(parents=True)
    (folder / "installed.py").write_text("answer = 42")
    new = start()
    assert new.forked
    assert new.run("import installed; print(installed.answer)") == "42"
    assert parent(new.pid) != parent(old.pid)
    assert old.run("1 + 1") == "2"
    ended = parent(old.pid)
    old.shut_down()
    until(lambda: gone(ended))
