"""Whatever is wrong with the preforking process, a kernel starts as any other does, and a line in the log says why."""

import os
import resource
import signal
import stat
import sys
from pathlib import Path

import pytest
from conftest import Start
from sage_prefork import client, messages
from sage_prefork.client import Interpreter, Outdated, PreforkError, PreforkingProcess
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
    monkeypatch.setattr(client, "FORK_SECONDS", 0.5)
    slow(start(), caplog, "timed out")
    monkeypatch.undo()
    until(lambda: gone(hung))
    assert first.run("print(kept)") == "42"
    assert start().forked
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


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_makes_no_sense_ends_the_process(answer: str, tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text(
        f"#!{sys.executable}\n"
        "import os, socket, sys, time\n"
        "from sage_prefork import messages\n"
        "_, (connection, *_) = messages.receive(socket.socket(fileno=0), 4)\n"
        "connection = socket.socket(fileno=connection)\n"
        f"{ANSWERS[answer]}\n"
        "time.sleep(600)\n"
    )
    fake.chmod(stat.S_IRWXU)
    process = PreforkingProcess(Interpreter((str(fake),), dict(os.environ)))
    with pytest.raises(PreforkError, match="gave no sensible answer"):
        process.fork({}, [0, 1, 2])
    until(lambda: not process.alive())


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
