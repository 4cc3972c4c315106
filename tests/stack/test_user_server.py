"""A user's server: what a new user finds there, and that it answers at once, whatever else goes on."""

import time
from collections.abc import Iterator

import pytest
from server_support import Terminal
from test_work import listing, read, working, write

from stackgen.smoke import Browser, Channel
from tests.conftest import RunningStack, docker, log_of

NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# 三角函数"},
        {"cell_type": "code", "id": "b", "metadata": {}, "outputs": [], "execution_count": None, "source": "sin(1)"},
    ],
    "metadata": {"kernelspec": {"name": "sagemath", "display_name": "SageMath 10.8", "language": "sage"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.fixture(scope="module")
def browser(stack: RunningStack) -> Iterator[Browser]:
    with working(stack, "reader") as browser:
        yield browser


def answers(page: Channel, cell: str) -> list[tuple[str, str]]:
    """What a page gets of a cell's output: kind and text of each message, to the end of the cell.

    What was printed is in one piece: a kernel sends it in as many as it likes, and a page puts them together.
    """
    got: list[tuple[str, str]] = []
    while ("status", "idle") not in got:
        message = page.receive()
        if message["channel"] == "iopub" and message["parent_header"].get("msg_id") == cell:
            kind, content = message["msg_type"], message["content"]
            before = got.pop()[1] if kind == "stream" and got[-1:] and got[-1][0] == kind else ""
            got.append((kind, before + (content.get("execution_state") or content.get("text") or "")))
    return got


def printed(page: Channel, cell: str) -> str:
    """What a page shows of all that a cell prints from now on."""
    return "".join(text for kind, text in answers(page, cell) if kind == "stream")


def test_the_first_output_of_a_new_kernel_is_complete(browser: Browser) -> None:
    """However soon the first cell comes: the page hears the kernel from the first message on."""
    for _ in range(3):
        kernel = browser.start_kernel()
        page = browser.open_channel(kernel)
        whole = [("status", "busy"), ("execute_input", ""), ("stream", "2\n"), ("status", "idle")]
        assert answers(page, page.send("print(1 + 1)")) == whole
        page.close()
        browser.api("DELETE", f"/api/kernels/{kernel}")


def test_a_page_may_join_a_kernel_that_computes_and_another_may_leave(browser: Browser) -> None:
    """Both pages see the end of the cell; after a restart, which changes nothing for a page, both see the next one."""
    kernel = browser.start_kernel()
    first = browser.open_channel(kernel)
    cell = first.send(
        "import os, time\n"
        "while not os.path.exists('go'):\n"
        "    print('.', end='', flush=True); time.sleep(1)\n"
        "print('end')"
    )
    second = browser.open_channel(kernel)
    while second.receive()["msg_type"] != "stream":
        pass
    write(browser, "go", "")
    assert printed(second, cell).endswith("end\n")
    assert printed(first, cell).endswith("end\n")
    browser.api("POST", f"/api/kernels/{kernel}/restart")
    cell = second.send("print(2)")
    assert printed(second, cell) == "2\n"
    assert printed(first, cell) == "2\n"
    first.close()
    assert printed(second, second.send("print(3)")) == "3\n"


def test_a_kernel_can_be_shut_down_while_it_starts_again(stack: RunningStack, browser: Browser) -> None:
    """It died together with the process that forks it, so it starts anew, here as slowly as on a busy machine."""
    container = stack.container("reader")
    browser.api("PUT", "/api/contents/slow", json={"type": "directory"})
    write(browser, "slow/sitecustomize.py", "import time; time.sleep(4)")
    spec = stack.kernel("reader", PYTHONPATH="/home/sage/notebooks/slow")
    kernel = browser.api("POST", "/api/kernels", json={"name": spec}).json()["id"]
    docker("exec", container, "pkill", "-KILL", "-f", "sage_prefork|ipython_kernel")
    while "restarting kernel" not in log_of(container):
        time.sleep(0.2)
    assert browser.api("DELETE", f"/api/kernels/{kernel}").status_code == 204
    assert kernel not in browser.api("GET", "/api/kernels").text


def test_sage_works_in_jupyterlabs_terminal(browser: Browser) -> None:
    """It is bash, so a line can be edited and completed, with Sage and its doctests on the path."""
    terminal = Terminal(browser)
    assert "bash 5" in terminal.run('echo "bash $BASH_VERSION"')
    assert "641 * 6700417" in terminal.run("sage -c 'print(factor(2^32+1))'")
    write(browser, "f.py", 'def f(x):\n    """\n    sage: f(2)\n    4\n    """\n    return x*x\n')
    assert "All tests passed!" in terminal.run("sage -t f.py")


def test_a_folder_can_be_listed_while_a_program_writes_and_removes_files_in_it(
    stack: RunningStack, browser: Browser
) -> None:
    """JupyterLab says "Directory not found" and leaves the folder if a single listing fails."""
    program = """
import os
for name in range(40):
    open(f"kept-{name}", "w").close()
while True:
    for name in range(60):
        open(f"passing-{name}", "w").close()
    for name in range(60):
        os.rename(f"passing-{name}", f"passing-by-{name}")
    for name in range(60):
        os.unlink(f"passing-by-{name}")
"""
    container = stack.container("reader")
    docker("exec", container, "mkdir", "busy")
    docker("exec", "--detach", "--workdir", "/home/sage/notebooks/busy", container, "python", "-c", program)
    docker("exec", container, "sh", "-c", "until [ -e busy/kept-39 ]; do sleep 0.1; done")
    for _ in range(100):
        listed = {item["name"] for item in browser.api("GET", "/api/contents/busy").json()["content"]}
        assert {f"kept-{name}" for name in range(40)} <= listed
    docker("exec", container, "pkill", "-f", "passing-by")
    answer = browser.session.get(f"{browser.server}/api/contents/nowhere", timeout=30)
    assert answer.status_code == 404


def test_both_interfaces_and_all_that_goes_with_them_are_there(browser: Browser) -> None:
    """JupyterLab and Notebook 7, terminals, files up and down, a notebook as a web page; only formats that work."""
    for page in ("lab", "tree", "edit/notes.txt", "terminals/1"):
        assert browser.api("GET", f"/{page}").headers["Content-Type"].startswith("text/html")
    terminal = browser.api("POST", "/api/terminals").json()["name"]
    browser.api("DELETE", f"/api/terminals/{terminal}")
    write(browser, "数据.txt", "1, 2, 3")
    assert browser.api("GET", "/files/数据.txt").content == b"1, 2, 3"
    browser.api("PUT", "/api/contents/课.ipynb", json={"type": "notebook", "content": NOTEBOOK})
    formats = browser.api("GET", "/api/nbconvert").json()
    assert set(formats) == {"html", "markdown", "notebook", "script", "slides"}
    for format in formats:
        assert browser.api("GET", f"/nbconvert/{format}/课.ipynb").content, format
    assert "三角函数" in browser.api("GET", "/nbconvert/html/课.ipynb").text


def test_an_idle_user_needs_less_than_100_mb(stack: RunningStack) -> None:
    """All processes of the container, after JupyterLab's first page and all that it asks for."""
    with working(stack, "idler") as browser:
        for path in (
            "/lab/api/settings",
            "/lab/api/translations/zh_CN",
            "/api/kernelspecs",
            "/api/contents",
            "/api/me",
        ):
            browser.api("GET", path)
        sizes = docker("exec", stack.container("idler"), "sh", "-c", "cat /proc/[0-9]*/smaps_rollup | grep ^Rss:")
        assert len(sizes.splitlines()) >= 3  # none was unreadable
        assert sum(int(line.split()[1]) for line in sizes.splitlines()) < 100 * 1024, sizes


def test_a_new_user_finds_the_welcome_notebook_and_may_remove_it(stack: RunningStack) -> None:
    """It does not come back; nor do files that are called like Python's own modules keep the server from starting."""
    welcome = docker("run", "--rm", f"{stack.name}/sage", "ls", "/opt/stackgen/welcome/en").splitlines()
    assert welcome
    password = stack.user("newcomer")
    with working(stack, "newcomer", password) as browser:
        assert listing(browser) == welcome
        for name in welcome:
            browser.api("DELETE", f"/api/contents/{name}")
        for module in ("random.py", "json.py", "tornado.py"):
            write(browser, module, "raise SystemExit('not the module that you wanted')")
    with working(stack, "newcomer") as browser:
        assert sorted(listing(browser)) == ["json.py", "random.py", "tornado.py"]
        assert read(browser, "random.py").startswith("raise")
