"""Proves that this image can do what users come for; run by `docker compose up` before the hub starts."""

import subprocess
import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

from sage.all import (
    SR,
    EllipticCurve,
    MixedIntegerLinearProgram,
    factor,
    gap,
    integrate,
    latex,
    libgap,
    pari,
    plot,
    singular,
    sphere,
)
from sage.features.threejs import Threejs

start = time.monotonic()
x = SR.var("x")


def optimum() -> float:
    """The optimum of a small linear program."""
    program = MixedIntegerLinearProgram(solver="GLPK")
    y = program.new_variable(nonnegative=True)
    program.add_constraint(y[0] + 2 * y[1] <= 3)
    program.set_objective(y[0] + y[1])
    return program.solve()


def draws_chinese() -> bool:
    """Whether every character of a label has a glyph: Matplotlib warns of those that have none."""
    with warnings.catch_warnings(), TemporaryDirectory() as folder:
        warnings.simplefilter("error", UserWarning)
        plot(x**2, (x, -1, 1), axes_labels=["时间", "$y$"], legend_label="高度").save(f"{folder}/plot.png")
    return True


def has_scenes() -> bool:
    """Whether 3D scenes can be drawn in the browser: the objects, and three.js where the user's server finds it."""
    scripts = Path(sys.prefix) / "share/jupyter/labextensions/threejs-sage" / Threejs().required_version()
    return bool(sphere().threejs_repr(sphere().default_render_params())) and (scripts / "three.min.js").is_file()


proofs = {
    "factor(2^64-1)": lambda: str(factor(2**64 - 1)) == "3 * 5 * 17 * 257 * 641 * 65537 * 6700417",
    "integrate(x^2, x) in Maxima": lambda: bool(integrate(x**2, x) == x**3 / 3),
    "latex(x^2/2)": lambda: latex(x**2 / 2) == r"\frac{1}{2} \, x^{2}",
    "Factorial(5) in GAP, as a library": lambda: libgap.eval("Factorial(5)") == 120,
    "Factorial(5) in GAP, as a process": lambda: gap.eval("Factorial(5)") == "120",
    "2+2 in Singular": lambda: singular.eval("2+2;") == "4",
    "polroots in PARI": lambda: len(pari("polroots(x^2+1)")) == 2,
    "rank of 389a1": lambda: EllipticCurve("389a1").rank() == 2,
    "a linear program": lambda: optimum() == 3.0,
    "a plot with Chinese labels": draws_chinese,
    "a 3D scene": has_scenes,
    "jupyterhub-singleuser": lambda: subprocess.check_output(["jupyterhub-singleuser", "--version"]) != b"",
    "the Sage kernel": lambda: b" sagemath " in subprocess.check_output(["jupyter", "kernelspec", "list"]),
}
failed = []
for what, holds in proofs.items():
    try:
        good = holds()
    except Exception as error:
        good, what = False, f"{what}: {error!r}"
    print("ok    " if good else "FAILED", what, flush=True)
    if not good:
        failed.append(what)
if failed:
    sys.exit(f"This image cannot be used: {len(failed)} of {len(proofs)} proofs failed.")
print(f"SageMath computes ({time.monotonic() - start:.1f} s).")
