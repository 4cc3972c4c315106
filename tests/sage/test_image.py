"""The image of users' servers: what is in it, what is not, and how what is missing comes back."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RunningStack, docker

SAGE = Path(__file__).parents[2] / "images" / "sage"
LARGEST = 1_500_000_000  # bytes, as `docker image ls` counts them

# Runs in the image: a notebook's kernel, started as a user's server starts it, and what stood below each cell.
KERNEL = """
import json, sys
from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name="sagemath")
pages = []
for cell in json.loads(sys.argv[1]):
    request, page = client.execute(cell), ""
    while True:
        message = client.get_iopub_msg(timeout=120)
        content = message["content"]
        if message["parent_header"].get("msg_id") != request:
            continue
        if content.get("execution_state") == "idle":
            break
        page += content.get("text", "") + content.get("evalue", "")
        page += "".join(map(str, content.get("data", {}).values()))
    pages.append(page.strip())
manager.shutdown_kernel(now=True)
print(json.dumps(pages))
"""


@pytest.fixture(scope="module")
def home(sage_image: str) -> Iterator[str]:
    """A container of the image, without a network, that stays for several commands; its id."""
    container = docker("run", "--detach", "--network", "none", "--cap-drop", "ALL", sage_image, "sleep", "infinity")
    yield container
    docker("rm", "--force", container)


def shell(home: str, line: str) -> str:
    """What a user sees who types this in JupyterLab's terminal, which is a login shell."""
    return docker("exec", home, "bash", "-lc", line)


def notebook(image: str, *cells: str) -> list[str]:
    """What stands below each cell of a new notebook, in an image without a network."""
    script = ("run", "--rm", "-i", "--network", "none", image, "python", "-", json.dumps(cells))
    return list(json.loads(docker(*script, stdin=KERNEL)))


def test_the_image_is_small(sage_image: str) -> None:
    assert int(docker("image", "inspect", "--format", "{{.Size}}", sage_image)) <= LARGEST


def test_nobody_becomes_root_or_finds_a_compiler(home: str) -> None:
    """A user's server is uid 1000 and cannot change what it runs; what built the image is not in it."""
    assert shell(home, "id -u") == "1000"
    assert shell(home, "command -v cc gcc g++ ld make sudo; true") == ""
    assert shell(home, "find / -xdev -type f -perm /6000 2>/dev/null; true") == ""
    assert shell(home, "find /opt/sage -writable -not -type l; true") == ""
    assert shell(home, "ls /var/lib/apt/lists /var/cache/apt 2>/dev/null | grep -E 'Packages|bin'; true") == ""
    assert shell(home, "find /opt/sage -name '*.a'") == ""


def test_every_package_is_the_pinned_one(home: str) -> None:
    """requirements.txt names a version and its hashes for all that pip installed, and for what was asked for."""
    blocks = re.split(r"\n(?=\S)", (SAGE / "requirements.txt").read_text().strip())
    pinned = {}
    for block in blocks:
        name, _, version = block.split()[0].partition("==")
        assert version and "--hash=sha256:" in block, block
        pinned[re.sub("[-_.]+", "-", name).lower()] = version
    for line in (SAGE / "requirements.in").read_text().splitlines():
        name, _, version = line.partition("==")
        assert pinned[name.lower()] == (version or pinned[name.lower()])

    installed = {
        re.sub("[-_.]+", "-", package["name"]).lower(): package["version"]
        for package in json.loads(shell(home, "pip list --format json"))
    }
    own = {"pip", "sage-prefork"}
    assert {name: pinned.get(name) for name in installed.keys() - own} == {
        name: version for name, version in installed.items() if name not in own
    }


def test_a_rule_of_the_slimming_that_matches_nothing_ends_the_build(tmp_path: Path) -> None:
    """So the list of what is left out stays true when a new version of Sage is laid out differently."""
    (tmp_path / "lib/python3.13/site-packages").mkdir(parents=True)
    slim = [sys.executable, SAGE / "slim.py", tmp_path]
    done = subprocess.run(slim, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "slim.py: nothing matches **/*.a;" in done.stderr


def test_sage_works_in_the_terminal(home: str) -> None:
    """A line, a file with Chinese in its name and text, and doctests: of an own file and of a module of Sage's."""
    assert shell(home, "sage -c 'print(factor(2^32+1))'") == "641 * 6700417"
    shell(home, "printf '变量 = 2^10\\nprint(\"结果\", 变量)\\n' >作业.sage")
    assert shell(home, "sage 作业.sage") == "结果 1024"
    shell(home, 'printf \'def f(x):\\n    r"""\\n    sage: f(2)\\n    4\\n    """\\n    return x*x\\n\' >f.py')
    assert "All tests passed!" in shell(home, "sage -t f.py")
    module = "/opt/sage/lib/python3.13/site-packages/sage/rings/integer.pyx"
    assert "All tests passed!" in shell(home, f"sage -t {module}")


def test_a_notebook_needs_no_internet_and_no_more_programs(sage_image: str) -> None:
    """Scenes, animations and Chinese labels work; what is not there says in one sentence who can bring it."""
    scene, animation, labels, r_call, r_cell, cython = notebook(
        sage_image,
        "sphere()",
        "a = animate([plot(sin(x + k), (x, 0, 6)) for k in (0, 1, 2)]); a",
        'p = plot(x^2, (x, -1, 1), title="函数图像", axes_labels=["时间", "$y$"])\n'
        'for kind in ("pdf", "png", "svg"):\n    p.save("/tmp/plot." + kind)',
        'r("1+1")',
        "%%r\n1+1",
        "%%cython\ndef f(int x): return x",
    )
    assert "threejs-sage/r122/three.min.js" in scene
    assert "fullLabextensionsUrl" in scene
    assert not re.search(r"(?:https?:)?//[a-z.]*(?:cdn|jsdelivr|cloudflare)", scene)
    assert "data:image/gif;base64,R0lGODlh" in animation
    assert labels == ""
    for said in (r_call, r_cell):
        assert said == (
            "UsageError: R is not installed here. Ask whoever runs this server to add it:"
            ' SAGE_EXTRA_APT="r-base-core python3-rpy2" in its settings.'
        )
    assert cython == (
        "UsageError: A compiler is not installed here. Ask whoever runs this server to add it:"
        ' SAGE_EXTRA_APT="g++ libgmp-dev python3-dev" in its settings.'
    )


def test_three_js_is_where_jupyterlab_serves_it(home: str) -> None:
    version = shell(home, "python -c 'from sage.features.threejs import Threejs; print(Threejs().required_version())'")
    assert "threejs.org" in shell(
        home, f"head -c 200 /opt/sage/share/jupyter/labextensions/threejs-sage/{version}/three.min.js"
    )


def test_the_first_group_finds_the_workspace_of_gap(home: str) -> None:
    """It is in the image, so nobody's first group waits for GAP to read its library, or writes 57 MB."""
    workspaces = "find ~/.sage/gap -name '*workspace*' -printf '%p %T@\\n'"
    built = shell(home, workspaces)
    assert len(built.splitlines()) == 1
    assert shell(home, "sage -c 'print(SymmetricGroup(4).order())'") == "24"
    assert shell(home, workspaces) == built


def test_what_looks_superfluous_and_is_not_is_there(home: str) -> None:
    """Compiled modules, or each kernel starts 2 s later; a part of ECL; Maxima's and Singular's help; the sources."""
    modules = "find /opt/sage/lib -path '*/site-packages/sage/*' -name '*.py' -printf '%h/__pycache__/%f\\n'"
    compiled = 'while read -r path; do ls "${path%.py}.cpython-313.pyc"; done'
    assert len(shell(home, f"{modules} | {compiled}").splitlines()) > 1000
    assert shell(home, "find /opt/sage -name cmp.fas")
    for line, answer in (
        ('print(maxima.eval("describe(integrate, exact)"))', "integrate (x/ sqrt (b^2 - x^2), x)"),
        ('from sage.interfaces.singular import get_docstring; print(get_docstring("std"))', "ideal_expression"),
        ("from sage.misc.sageinspect import sage_getsource; print(sage_getsource(Integer))", "cdef class Integer("),
    ):
        assert answer in shell(home, f"sage -c '{line}'")


def test_what_a_user_installs_stays_in_the_volume_and_hides_nothing(home: str) -> None:
    """pip installs below the notebooks, for a user has nothing else that stays; the image's own packages come first."""
    folder = shell(home, "python -m site --user-site")
    assert folder.startswith("/home/sage/notebooks/.local/")
    shell(home, f"mkdir -p {folder} && echo 'NAME = \"mine\"' | tee {folder}/homework.py >{folder}/numpy.py")
    assert shell(home, "python -c 'import homework; print(homework.NAME)'") == "mine"
    assert shell(home, "python -c 'import numpy; print(numpy.__file__)'").startswith("/opt/sage/")


def test_extras_bring_back_what_was_left_out(stack: RunningStack) -> None:
    """As docs/sage-image.md says: `%%cython` works, also with Sage's own types, and R, and data of a GAP package."""
    extra = f"{stack.name}-extra/sage"
    settings = {key: stack.settings[key] for key in ("BASE_IMAGE", "APT_MIRROR", "PIP_INDEX_URL")}
    settings |= {
        "SAGE_EXTRA_APT": "g++ libgmp-dev python3-dev r-base-core python3-rpy2",
        "SAGE_EXTRA_PIP": "passagemath-gap-pkg-tomlib-data==10.8.13",
    }
    arguments = [word for key, value in settings.items() for word in ("--build-arg", f"{key}={value}")]
    try:
        docker("build", "--quiet", "--target", "sage", "--tag", extra, *arguments, stack.directory / "images")
        cells = [
            "%%cython\nfrom sage.rings.integer cimport Integer\ndef cube(Integer x): return x**3",
            "cube(12)",
            'r("mean(c(1, 2, 6))")',
            "%%r\nsum(1:10)",
            'libgap.eval("LoadPackage(\\"tomlib\\")"); len(libgap.TableOfMarks("S12").MarksTom())',
        ]
        compiled, computed, mean, total, marks = notebook(extra, *cells)
        assert (compiled, computed) == ("", "1728")
        assert (mean, total, marks) == ("[1] 3", "[1] 55", "10723")
    finally:
        subprocess.run(["docker", "image", "rm", "--force", extra], capture_output=True, check=False)
