"""Whatever is wrong with the preforking process, a kernel starts as any other does, and a line in the log says why."""

import os
import resource
import signal
import stat
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import Start
from sage_prefork import client, messages, process, provisioner
from sage_prefork.client import Interpreter, Outdated, Preforker, PreforkError, PreforkingProcess
from support import Kernel, gone, named, parent, until

pytestmark = pytest.mark.usefixtures("another_server")


def slow(kernel: Kernel, caplog: pytest.LogCaptureFixture, why: str) -> None:
    """It is a plain kernel that works, and the log says why, once."""
    assert not kernel.forked
    assert kernel.run("1 + 1") == "2"
    (line,) = [record.getMessage() for record in caplog.records if "slow way" in record.getMessage()]
    assert why in line
    caplog.clear()


def test_it_can_be_turned_off(start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is nothing that the log need mention."""
    monkeypatch.setenv("SAGE_PREFORK", "off")
    before = named("sage-prefork")
    assert not start().forked
    assert named("sage-prefork") <= before
    assert "slow way" not in caplog.text


def test_a_process_that_fails_at_its_start_is_tried_once(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGE_PREFORK_IDLE", "a while")
    for _ in range(2):
        slow(start(), caplog, "ended before its first kernel")
        monkeypatch.delenv("SAGE_PREFORK_IDLE", raising=False)


def test_more_than_one_thread(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Python can be forked then, but a lock that the other thread holds would stay locked in the kernel for ever."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, threading, time\n"
        "if 'sage_prefork.server' in sys.orig_argv:\n"
        "    threading.Thread(target=time.sleep, args=[60], daemon=True).start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    slow(start(), caplog, "has 2 threads")


def test_a_hung_process_is_ended_and_its_kernels_go_on(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start()
    first.run("kept = 42")
    hung = parent(first.pid)
    os.kill(hung, signal.SIGSTOP)
    with monkeypatch.context() as patched:
        patched.setattr(client, "FORK_SECONDS", 0.5)
        slow(start(), caplog, "timed out")
    until(lambda: gone(hung))
    assert first.run("print(kept)") == "42"
    second = start()
    assert second.forked
    assert parent(second.pid) != hung
    first.shut_down()
    until(lambda: first.pid not in named("sage-kernel"))


def test_a_process_that_died_is_replaced_and_its_kernels_go_on(start: Start) -> None:
    first = start()
    first.run("kept = 42")
    os.kill(parent(first.pid), signal.SIGKILL)
    second = start()
    assert second.forked
    assert first.run("print(kept)") == "42"
    first.send("import os; os._exit(3)")
    until(lambda: not first.manager.is_alive())
    assert first.exit_code == -signal.SIGKILL, "nobody is left who knows it"


def test_nobody_waits_for_the_exit_code_from_a_process_that_died(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if what the kernel has forked goes on, and keeps the connection that it would come over."""
    monkeypatch.setattr(process, "EXIT_CODE_SECONDS", 1e9)
    kernel = start()
    child = int(
        kernel.run(
            "import multiprocessing, time\n"
            "child = multiprocessing.get_context('fork').Process(target=time.sleep, args=[600])\n"
            "child.start(); print(child.pid)"
        )
    )
    os.kill(parent(kernel.pid), signal.SIGKILL)
    os.kill(kernel.pid, signal.SIGKILL)
    until(lambda: not kernel.manager.is_alive())
    assert kernel.exit_code == -signal.SIGKILL
    assert not gone(child)
    os.kill(child, signal.SIGKILL)


def test_a_process_that_was_killed_at_its_start_is_replaced_for_the_next_kernel(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the system does when memory runs out, which says nothing about a time when there is more of it."""
    with monkeypatch.context() as patched:
        patched.setattr(messages, "send", lambda *_: os.kill(*provisioner.preforker.pids, signal.SIGKILL))
        slow(start(), caplog, "was killed before its first kernel")
    assert start().forked


def test_no_process_ids_are_left(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    first = start()
    resource.prlimit(parent(first.pid), resource.RLIMIT_NPROC, (1, 1))
    slow(start(), caplog, "cannot fork")
    assert first.run("1 + 1") == "2"


def test_a_kernel_of_another_kind(start: Start, caplog: pytest.LogCaptureFixture, specs: Path) -> None:
    spec = (specs / "kernels" / "forked" / "kernel.json").read_text()
    other = specs / "kernels" / "other" / "kernel.json"
    other.parent.mkdir()
    other.write_text(spec.replace("sage.repl.ipython_kernel", "ipykernel"))
    slow(start("other"), caplog, "only knows kernels of the form")


def test_a_folder_that_is_not_there_is_the_same_error_as_of_a_plain_kernel(start: Start) -> None:
    with pytest.raises(FileNotFoundError):
        start(cwd="/nowhere")


def test_options_of_popen_are_left_to_popen(start: Start, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        slow(start(stderr=log), caplog, "cannot set stderr")


ANSWERS = {
    "not JSON": "connection.send(b'\\x80')",
    "not an object": "connection.send(b'[1]')",
    "no process": "messages.send(connection, {'pid': 1})",
    "no process id": "messages.send(connection, {'pid': 'one'}, [1])",
    "something else": "messages.send(connection, {'ok': True})",
}


def fake(folder: Path, work: str) -> Interpreter:
    """For preforking processes that do this, with the `connection` of each request that they get."""
    program = folder / "python"
    program.write_text(
        f"#!{sys.executable}\n"
        "import os, pathlib, signal, socket, sys, time\n"
        "from sage_prefork import messages\n"
        "control = socket.socket(fileno=0)\n"
        "while True:\n"
        "    _, (connection, *_) = messages.receive(control, 4)\n"
        "    connection = socket.socket(fileno=connection)\n" + textwrap.indent(work, "    ")
    )
    program.chmod(stat.S_IRWXU)
    return Interpreter((str(program),), dict(os.environ))


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_makes_no_sense_ends_the_process(answer: str, tmp_path: Path) -> None:
    process = PreforkingProcess(fake(tmp_path, f"{ANSWERS[answer]}\ntime.sleep(600)"))
    with pytest.raises(PreforkError, match="gave no sensible answer"):
        process.fork({}, [0, 1, 2])
    until(lambda: not process.alive())


KERNEL = "messages.send(connection, {'pid': os.getpid()}, [os.pidfd_open(os.getpid())])"  # no fork, but an answer


def test_a_slow_import_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a class that starts all at once it takes longer than a process would be given that does nothing."""
    monkeypatch.setattr(client, "START_SECONDS", 2.0)
    monkeypatch.setattr(client, "LOOK_SECONDS", 0.2)
    process = PreforkingProcess(fake(tmp_path, f"while time.process_time() < 4:\n    pass\n{KERNEL}"))
    assert process.fork({}, [0, 1, 2]).pid == process.pid
    process.tell_to_leave()


def test_an_import_that_takes_too_long_goes_on_for_the_next_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preforker = Preforker()
    work = (
        f"while not pathlib.Path('{tmp_path}/done').exists():\n    pass\n"
        f"try:\n    {KERNEL}\nexcept OSError:\n    pass  # nobody waits for this one any more"
    )
    interpreter = fake(tmp_path, work)
    with monkeypatch.context() as patched:
        patched.setattr(client, "LONGEST_SECONDS", 1.0)
        with pytest.raises(PreforkError, match="still imports Sage after"):
            preforker.fork(interpreter, {}, [0, 1, 2])
    (process,) = preforker.pids
    (tmp_path / "done").touch()
    assert preforker.fork(interpreter, {}, [0, 1, 2]).pid == process
    os.kill(process, signal.SIGKILL)


def test_an_import_that_hangs_is_ended_and_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or each kernel would be kept waiting before it starts the slow way."""
    monkeypatch.setattr(client, "START_SECONDS", 2.0)
    preforker = Preforker()
    interpreter = fake(tmp_path, f"open('{tmp_path}/tries', 'a').write('I')\ntime.sleep(600)")
    for _ in range(2):
        with pytest.raises(PreforkError, match="timed out"):
            preforker.fork(interpreter, {}, [0, 1, 2])
    until(lambda: not preforker.pids)
    assert preforker.killed == 0, "by somebody else"
    assert (tmp_path / "tries").read_text() == "I"


def test_a_message_that_is_too_large_for_the_socket_is_no_disaster() -> None:
    process = PreforkingProcess(Interpreter((sys.executable,), dict(os.environ)))
    with pytest.raises(PreforkError, match="gave no sensible answer"):
        process.fork({"arguments": ["x" * messages.LARGEST * 8]}, [0, 1, 2])
    until(lambda: not process.alive())


def test_a_process_that_is_told_to_leave_gives_no_more_kernels() -> None:
    process = PreforkingProcess(Interpreter((sys.executable,), dict(os.environ)))
    process.tell_to_leave()
    process.has_forked = True
    with pytest.raises(Outdated, match="has ended"):
        process.fork({}, [0, 1, 2])
    until(lambda: not process.alive())
