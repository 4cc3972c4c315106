"""3D scenes take three.js from the user's own server, whatever its address is, and never from the internet.

Sage looks for it below /nbextensions, which JupyterLab 4 and Notebook 7 do not serve, and leaves out JupyterHub's
prefix. A scene is a frame inside the page, so it asks the page where the server's extensions are: this holds with and
without a hub, and for a notebook that somebody else has run.
"""

from sage.features.threejs import Threejs
from sage.repl.rich_output.backend_ipython import BackendIPythonNotebook

SCRIPT = """
<script>
  try {{
    const page = JSON.parse(window.parent.document.getElementById("jupyter-config-data").textContent);
    const folder = page.fullLabextensionsUrl.replace(/[/]+$/, "");
    document.write('<script src="' + folder + '/threejs-sage/{version}/three.min.js"><\\/script>');
  }} catch (error) {{
    document.write("This scene is drawn where the notebook runs: open it in JupyterLab.");
  }}
</script>
"""


def load_from_own_server() -> None:
    """Replaces the script tag of Sage's notebook backend, which no setting of Sage's can."""
    BackendIPythonNotebook.threejs_offline_scripts = script


def script(_backend: BackendIPythonNotebook) -> str:
    """The HTML that loads the version of three.js which this Sage wants."""
    return SCRIPT.format(version=Threejs().required_version())
