"""Proves that this image can do what users come for; run by `docker compose up` before the hub starts."""

import subprocess
import sys
import time

from sage.all import SR, EllipticCurve, factor, gap, integrate, libgap, plot, sin

start = time.monotonic()
x = SR.var("x")
proofs = {
    "factor(2^64-1)": lambda: str(factor(2**64 - 1)) == "3 * 5 * 17 * 257 * 641 * 65537 * 6700417",
    "integrate(x^2, x)": lambda: bool(integrate(x**2, x) == x**3 / 3),
    "Factorial(5) in GAP, as a library": lambda: libgap.eval("Factorial(5)") == 120,
    "Factorial(5) in GAP, as a process": lambda: gap.eval("Factorial(5)") == "120",
    "rank of 389a1": lambda: EllipticCurve("389a1").rank() == 2,
    "plot(sin(x))": lambda: plot(sin(x), (x, 0, 1)).save("/tmp/plot.png") is None,
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
