"""Nothing that is done in one kernel is seen in another, though all come from one process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Start
from support import Kernel, gone, until

RANDOM = {
    "Sage": "print(randint(0, 10^9)); print(initial_seed())",
    "Sage's rings": "print(ZZ.random_element(10^20)); print(random_prime(10^20)); print(random_matrix(ZZ, 9).list())",
    "Python": "import random; print(random.random())",
    "numpy": "import numpy; print(numpy.random.rand()); print(numpy.random.default_rng().random())",
    "PARI through Sage": "print(EllipticCurve(GF(10^9 + 7), [1, 1]).random_point()); print(GF(2^61).random_element())",
    "GAP": "print(SymmetricGroup(30).random_element())",
    "names": "import tempfile, uuid; print(tempfile.mktemp()); print(uuid.uuid4())",
    "Sage's folder": "import os; print(os.path.dirname(tmp_filename()))",
}


@pytest.fixture(scope="module")
def twins() -> Iterator[tuple[Kernel, Kernel]]:
    """Two kernels, forked when Maxima, Matplotlib and numpy were loaded, because an earlier kernel had used them."""
    first = Kernel("forked")
    first.run("integrate(x, x); plot(x).save(tmp_filename(ext='.png'))")
    loaded = f"print([n in open('/proc/{first.run('import os; print(os.getppid())')}/maps').read() for n in {NAMES}])"
    until(lambda: first.run(loaded) == "[True, True]")
    both = Kernel("forked"), Kernel("forked")
    yield both
    for kernel in (first, *both):
        kernel.end()


NAMES = ["maxima.fas", "ft2font"]


@pytest.mark.parametrize("source", RANDOM)
def test_random_numbers_and_names_differ(source: str, twins: tuple[Kernel, Kernel]) -> None:
    first, second = (kernel.run(RANDOM[source]) for kernel in twins)
    assert "Error:" not in first
    assert not set(first.splitlines()) & set(second.splitlines())


def test_a_seed_gives_the_same_numbers_in_all_kernels(twins: tuple[Kernel, Kernel], plain: Kernel) -> None:
    code = (
        "set_random_seed(3); print(randint(0, 10^9), random_matrix(ZZ, 2).list(), SymmetricGroup(9).random_element())"
    )
    assert len({kernel.run(code) for kernel in (*twins, plain)}) == 1


def test_what_is_loaded_already_need_not_be_loaded_again(twins: tuple[Kernel, Kernel]) -> None:
    modules = "['sage.interfaces.maxima_lib', 'matplotlib']"
    assert twins[1].run(f"import sys; print([name in sys.modules for name in {modules}])") == "[True, True]"


def test_variables_assumptions_and_settings_stay_in_their_kernel(twins: tuple[Kernel, Kernel], start: Start) -> None:
    first, second = twins
    first.run(
        "secret = 42; x = 5; var('n'); assume(n, 'integer'); assume(n > 3)\n"
        "maxima_calculus('kept : 17'); maxima_calculus('domain : real'); libgap.eval('Kept := 17;')\n"
        "pari('kept = 17'); singular.eval('int kept = 17'); gap.eval('kept := 17;'); maxima.eval('kept : 17')\n"
        "import sage.plot.plot as p, matplotlib, os, sys; p.DEFAULT_FIGSIZE = None\n"
        "matplotlib.rcParams['lines.linewidth'] = 9; os.environ['KEPT'] = '17'; sys.path.append('/kept'); os.umask(0)\n"
        "sage.misc.latex.latex.matrix_delimiters('[', ']'); os.chdir('/')"
    )
    code = (
        "print('secret' in globals(), x, assumptions(), maxima_calculus('kept'), maxima_calculus('domain'))\n"
        "print(pari('kept'), maxima.eval('kept'), gap.eval('IsBound(kept)'), libgap.eval('IsBound(Kept)'))\n"
        "print(latex(matrix([1])))\n"
        "import matplotlib, os, sys\n"
        "print(matplotlib.rcParams['lines.linewidth'], os.environ.get('KEPT'), '/kept' in sys.path, os.umask(0o22))\n"
        "print(integrate(abs(x), x), sqrt(x^2).simplify_full())"
    )
    answer = second.run(code)
    assert answer.split()[:6] == ["False", "x", "[]", "kept", "complex", "kept"]
    assert answer == start().run(code) == start("plain").run(code)


def test_each_has_a_folder_for_temporary_files_and_removes_no_others(start: Start) -> None:
    staying, leaving = start(), start()
    code = "path = tmp_filename(); open(path, 'w').close(); print(path)"
    kept, removed = Path(staying.run(code)), Path(leaving.run(code))
    leaving.shut_down()
    assert gone(leaving.pid)
    assert not removed.parent.exists()
    assert kept.exists()


def test_kernels_that_plot_at_the_same_time_get_whole_pictures(twins: tuple[Kernel, Kernel]) -> None:
    """Matplotlib keeps font files open; two that read one open file would take the letters from each other."""
    code = (
        "import hashlib, io\n"
        "for size in range(15):\n"
        "    text('Sphinx of black quartz', (0, 0), fontsize=8 + size % 5).save(f'/tmp/{name}.png')\n"
        "    digest = hashlib.md5(open(f'/tmp/{name}.png', 'rb').read()).hexdigest()\n"
        "    print(size % 5, digest)"
    )
    requests = [kernel.send(f"name = 'picture{number}'\n{code}") for number, kernel in enumerate(twins)]
    lines = [
        line for kernel, request in zip(twins, requests, strict=True) for line in kernel.output(request).split("\n")
    ]
    # others are ipykernel's own, which complains once in a while on a slow machine
    assert len({line for line in lines if line[:1].isdigit()}) == 5
