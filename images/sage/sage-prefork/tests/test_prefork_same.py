"""A forked kernel is what a plain one is, in all that a user can see of it."""

from pathlib import Path

import pytest
from conftest import Start
from support import Kernel, environment, named

SAME = {
    "arguments": "import sys; print(len(sys.argv), sys.argv[0], sys.orig_argv[0])",
    "main module": "import sys, types; print(sys.modules['__main__'].__dict__ is globals(), __name__)",
    "module path": "import sys; print(sys.path)",
    "interpreter flags": "import sys; print(sys.flags, sys.getrecursionlimit(), sys.getswitchinterval())",
    "working directory": "import os; print(os.getcwd())",
    "umask, niceness and limits": (
        "import os, resource\n"
        "print(os.umask(0o22), os.nice(0), [resource.getrlimit(number) for number in range(16)], os.getgroups())"
    ),
    "signals": (
        "import signal\n"
        "print([signal.getsignal(s) if s != 2 else str(signal.getsignal(s))[:35] for s in signal.Signals])\n"
        "print(signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    ),
    "session and process group": "import os; print(os.getsid(0) == os.getpgrp() == os.getpid())",
    "standard input": "import os; print(os.read(0, 1))",
    "standard streams": "import sys; print(type(sys.stdout), sys.__stdout__.encoding, sys.__stderr__.errors)",
    "open files": (  # but for those of the history, which a thread opens when it has something to write
        "import os, re, collections\n"
        "found = (f'/proc/self/fd/{number}' for number in os.listdir('/proc/self/fd') if int(number) > 2)\n"
        "kinds = (re.sub('[0-9]+', '', os.readlink(path)) for path in found if os.path.exists(path))\n"
        "counted = collections.Counter(kind for kind in kinds if 'socket' not in kind and '/profile_' not in kind)\n"
        "print(sorted(counted.items()))"
    ),
    "shell": "print(type(get_ipython()), sorted(map(str, get_ipython().user_ns_hidden)))",
    "names": "print(sorted(name for name in globals() if not name.startswith('_')))",
    "hooks of the shell": (
        "shell = get_ipython()\n"
        "print(type(shell.displayhook), type(shell.display_pub))\n"
        "print({event: len(calls) for event, calls in shell.events.callbacks.items()})\n"
        "print(sorted(map(str, shell.display_formatter.formatters)), sorted(shell.magics_manager.magics['cell']))"
    ),
    "widgets": "import comm, ipywidgets; print(comm.get_comm_manager().targets, comm.create_comm.__module__)",
    "where Matplotlib draws": "import matplotlib; print(matplotlib.get_backend(), matplotlib.matplotlib_fname())",
    "a figure of pyplot": "from matplotlib import pyplot; _ = pyplot.plot([1, 2])",
    "a plot": "plot(sin, 0, 1)",
    "garbage collection": "import gc; print(gc.isenabled(), gc.get_threshold(), gc.garbage)",
    "the displayed value": "2^100; factor(2^67 - 1)",
    "an error": "1/0",
    "history": "print(get_ipython().history_manager.session_number > 0, In[0] == '')",
    "a subprocess": "import subprocess, sys; print(subprocess.run(['cat'], capture_output=True, text=True))",
    "processes of Python": (
        "import multiprocessing\n"
        "with multiprocessing.get_context('fork').Pool(1) as pool:\n"
        "    print(pool.map(abs, [int(-1)]))"
    ),
    "@parallel": "print(sorted(parallel(2)(lambda n: n^2)([1, 2, 3])))",
    "processes of Sage's interfaces": "print(gap('1+1'), maxima('1+1'), singular('1+1'), gp('1+1'))",
    "libraries": "print(libgap(3)^2, integrate(x, x), pari(2)^10, QQ['a, b'].ideal(['a*b', 'a']).groebner_basis())",
}


@pytest.mark.parametrize("question", SAME)
def test_a_forked_kernel_answers_as_a_plain_one_does(question: str, forked: Kernel, plain: Kernel) -> None:
    assert forked.run(SAME[question]) == plain.run(SAME[question]) != ""


def test_the_environment_is_that_of_a_plain_kernel_but_for_the_session(forked: Kernel, plain: Kernel) -> None:
    """And the variables that Sage sets when it is imported are there, too."""
    code = "import os; print(sorted(item for item in os.environ.items() if item[0] != 'JPY_SESSION_NAME'))"
    assert forked.run(code) == plain.run(code)
    assert "ECLDIR" in forked.run("import os; print(list(os.environ))")


def test_a_kernel_has_the_working_directory_and_the_name_of_its_notebook(start: Start, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("answer = 42")
    kernel = start(cwd=str(tmp_path), env=environment(JPY_SESSION_NAME="/home/ada/beside.ipynb"))
    assert kernel.forked
    assert kernel.run("import os, beside; print(os.getcwd(), beside.answer)") == f"{tmp_path} 42"
    assert kernel.run("print(os.environ['JPY_SESSION_NAME'])") == "/home/ada/beside.ipynb"
    assert start().run("import os; print(os.environ.get('JPY_SESSION_NAME'))") == "None"


def test_matplotlib_reads_the_settings_in_the_folder_of_the_notebook(start: Start, tmp_path: Path) -> None:
    """Even if Matplotlib was loaded before the fork, without them."""
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 7.5\n")
    code = "import matplotlib; print(matplotlib.rcParams['lines.linewidth'])"
    assert [start(cwd=str(tmp_path)).run(code), start().run(code)] == ["7.5", "1.5"]


def test_an_added_changed_or_removed_variable_counts_from_the_import_of_sage_on(start: Start) -> None:
    code = (
        "import os, sage.env; print(*map(os.environ.get, ['ADDED', 'LANG', 'HOSTNAME']), sage.env.SAGE_DOC_SERVER_URL)"
    )
    before = start()
    changed = environment(ADDED="there", LANG="C", HOSTNAME=None, SAGE_DOC_SERVER_URL="local")
    kernel = start(env=changed)
    assert kernel.forked
    assert kernel.run(code) == "there C None local"
    assert before.run("1 + 1") == "2"


def test_processes_have_names_of_their_own(forked: Kernel) -> None:
    assert forked.pid in named("sage-kernel")
    assert int(forked.run("import os; print(os.getppid())")) in named("sage-prefork")
