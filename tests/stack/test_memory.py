"""What happens on a user's server of 500 MB when the memory runs out, and what its user sees of it."""

from collections.abc import Iterator
from typing import Any

import pytest
from server_support import Terminal
from test_work import working

from stackgen.smoke import Browser
from tests.conftest import RunningStack, docker

MB = 2**20
TAKE = "taken = bytearray({mb} * 2**20); taken[::4096] = b'1' * len(taken[::4096])"
TAKE_ALL = "taken = []\nwhile True: taken.append(b'1' * 10**7)"

Message = dict[str, Any]


class Notebook:
    """A page with a notebook: a kernel of its own, and one websocket to it."""

    def __init__(self, browser: Browser, spec: str = "sagemath") -> None:
        self.browser = browser
        self.kernel = browser.api("POST", "/api/kernels", json={"name": spec}).json()["id"]
        self.load()

    def load(self) -> None:
        """Open the page, or open it again."""
        self.channel = self.browser.open_channel(self.kernel)

    def run(self, code: str) -> str:
        """Run a cell to its end; what stands under it then. If the kernel dies, the page is loaded again after that."""
        return "".join(map(shown, self._under(self.channel.send(code))))

    def await_restart(self) -> None:
        """Go on when the page has learnt that the kernel died."""
        while self.channel.receive()["content"].get("execution_state") != "restarting":
            pass
        self.load()

    def _under(self, cell: str) -> Iterator[Message]:
        while True:
            message = self.channel.receive()
            state = message["content"].get("execution_state")
            if state == "restarting":
                self.load()
                return
            if state == "idle" and message["parent_header"].get("msg_id") == cell:
                return
            # a page shows only what belongs to one of its cells: the parent's id and session must be right
            parent = message["parent_header"]
            of_cell = parent.get("msg_id") == cell and parent.get("session") == self.channel.session
            if message["channel"] == "iopub" and of_cell:
                yield message


def shown(message: Message) -> str:
    """What a page shows of a message."""
    content = message["content"]
    return {"stream": content.get("text"), "error": content.get("evalue")}.get(message["msg_type"], "") or ""


@pytest.fixture(scope="module")
def browser(stack: RunningStack) -> Iterator[Browser]:
    with working(stack, "greedy") as browser:
        yield browser


@pytest.fixture(autouse=True)
def shut_down(stack: RunningStack, browser: Browser) -> Iterator[None]:
    """No test takes memory from the next one, whose kernels are forked again: the server has seen that what forks them
    has ended, or it would ask that for the next one and start a kernel of its own.
    """
    yield
    for kernel in browser.api("GET", "/api/kernels").json():
        browser.api("DELETE", f"/api/kernels/{kernel['id']}")
    end = "pkill -x sage-prefork; while pgrep -x sage-prefork; do sleep 0.1; done"
    docker("exec", stack.container("greedy"), "timeout", "60", "sh", "-c", end)


def memory(browser: Browser) -> dict[str, Any]:
    """What the memory indicator shows, in MB."""
    answer = browser.api("GET", "/api/metrics/v1").json()
    limit = answer["limits"]["memory"]
    return {"used": answer["rss"] / MB, "limit": limit["rss"] / MB, "red": limit["warn"]}


def test_the_indicator_shows_what_is_used_of_the_limit(stack: RunningStack, browser: Browser) -> None:
    """Variables count, files that were written do not, and at nine tenths it is red."""
    notebook = Notebook(browser, "python3")
    before = memory(browser)
    assert before["limit"] == 500
    assert before["used"] < 200
    assert not before["red"]
    docker("exec", stack.container("greedy"), "dd", "if=/dev/zero", "of=/home/sage/large", "bs=1M", "count=150")
    assert memory(browser)["used"] < before["used"] + 75
    notebook.run(TAKE.format(mb=int(470 - memory(browser)["used"])))
    full = memory(browser)
    assert 450 < full["used"] < 500
    assert full["red"]
    notebook.run("del taken")
    assert not memory(browser)["red"]


def test_a_kernel_that_needs_too_much_dies_alone_and_its_user_is_told_why(browser: Browser) -> None:
    """The reason stands under the cell; server and other notebooks go on, and this one does from its beginning."""
    started = browser.api("GET", "/api/status").json()["started"]
    other, notebook = Notebook(browser), Notebook(browser)
    other.run("kept = 2^31 - 1")
    text = notebook.run(f"print('before', flush=True)\n{TAKE_ALL}")
    assert text.startswith(
        "before\nMemory ran out, so this kernel (SageMath 10.8) was stopped. Your server may use 500 MB"
    )
    assert other.run("print(kept)") == "2147483647\n"
    assert notebook.run("print(taken)") == "name 'taken' is not defined"
    assert browser.api("GET", "/api/status").json()["started"] == started


def test_a_single_statement_may_take_all_memory(browser: Browser) -> None:
    """The kernel is gone before it could say which cell it runs; the reason stands under that cell all the same."""
    notebook = Notebook(browser, "python3")
    assert notebook.run(f"taken = b'1' * (600 * {MB})").startswith("Memory ran out, so this kernel (Python 3")
    assert notebook.run("print(1)") == "1\n"


def test_the_process_that_forks_kernels_goes_before_any_of_them(stack: RunningStack, browser: Browser) -> None:
    """It only makes kernels quick: what it held is the kernel's, who needs it, and nobody need be told."""
    notebook = Notebook(browser)
    notebook.run("kept = 2^31 - 1; time = __import__('time')")
    little_too_much = 500 - memory(browser)["used"] + 10
    assert notebook.run(f"{TAKE.format(mb=int(little_too_much))}; time.sleep(5); print(kept)") == "2147483647\n"
    processes = docker("exec", stack.container("greedy"), "sh", "-c", "cat /proc/[0-9]*/comm")
    assert "sage-prefork" not in processes.split()
    assert notebook.run("del taken") == ""
    again = Notebook(browser)
    assert again.run("print(2^3)") == "8\n"


def test_nothing_of_a_kernel_that_has_ended_holds_memory(stack: RunningStack, browser: Browser) -> None:
    """Sage forks processes that wait until the programs it used have ended: each is as large as the kernel."""
    for name in (stack.plain_kernel("greedy"), "sagemath"):
        notebook = Notebook(browser, name)
        notebook.run("maxima(1); singular(1); gap(1)")
        browser.api("DELETE", f"/api/kernels/{notebook.kernel}")
        left = docker("exec", stack.container("greedy"), "ps", "-e", "-o", "args=")
        assert "ipython_kernel" not in left, name


def test_who_is_told_when_nothing_ran_in_the_kernel_that_was_killed(browser: Browser) -> None:
    """It held the most while another one computed: the reason stands under its next cell, and under no other one's."""
    large, small = Notebook(browser, "python3"), Notebook(browser, "python3")
    free = 500 - memory(browser)["used"]
    assert large.run(TAKE.format(mb=int(0.7 * free))) == ""
    small.run(TAKE.format(mb=int(0.5 * free)))
    large.await_restart()
    assert large.run("print(1)").startswith("Memory ran out, so this kernel (Python 3 (ipykernel)) was stopped.")
    assert large.run("print(1)") == "1\n"


def test_a_program_of_a_kernel_that_was_killed_is_not_the_kernel(browser: Browser) -> None:
    """The kernel goes on, and its user learns that memory was the reason why the program has gone."""
    notebook = Notebook(browser, "python3")
    program = f"import subprocess, sys\ncode = subprocess.run([sys.executable, '-c', {TAKE_ALL!r}]).returncode"
    text = notebook.run(f"{program}\nprint(code)")
    assert text.endswith("-9\n")
    for _ in range(30):  # it may be told under this cell or under a later one
        text += notebook.run("import time; time.sleep(1)")
        if "Memory" in text:
            break
    assert "Memory ran out, so a program on your server was stopped: not this kernel (Python 3 (ipykernel))" in text


def test_programs_of_a_terminal_go_before_the_server(stack: RunningStack, browser: Browser) -> None:
    """However small each one is; and no notebook that is opened later is told of it."""
    started = browser.api("GET", "/api/status").json()["started"]
    small = 'python -c \'taken = b"1" * 40 * 2**20; __import__("time").sleep(60)\''
    shown = Terminal(browser).run(f"for each in {' '.join('abcdefghijklmnop')}; do {small} & done; wait")
    assert "Killed" in shown
    assert browser.api("GET", "/api/status").json()["started"] == started
    assert "stackgen_server" in docker("exec", stack.container("greedy"), "ps", "-e", "-o", "args=")
    assert Notebook(browser, "python3").run("import time; time.sleep(4); print(1)") == "1\n"


@pytest.mark.parametrize("end", ["import ctypes; ctypes.string_at(0)", "import os; os.kill(os.getpid(), 9)"])
def test_a_kernel_that_died_otherwise_is_not_said_to_have_lacked_memory(browser: Browser, end: str) -> None:
    notebook = Notebook(browser, "python3")
    assert notebook.run(end) == ""
    assert notebook.run("print(1)") == "1\n"
