"""JupyterHub's configuration for this stack. Plain Python; every value comes from the environment (see compose.yaml).

Yours to extend: files in hub/config.d/*.py run after this one, in the order of their names, with the same `c`.
Changing this file works too, but then `stackgen render` keeps your copy and leaves you to merge what is new.
"""

import os
import sys
from importlib.metadata import version
from pathlib import Path

from stackgen_hub.languages import ByLanguage
from stackgen_hub.logins import configure_login
from stackgen_hub.offline import end_other_logins
from stackgen_hub.pages import TEMPLATES
from stackgen_hub.servers import before_start, quota
from stackgen_hub.site import Site, logo

c = get_config()  # noqa: F821
env = os.environ
stack = env["STACK_NAME"]
data = Path("/srv/jupyterhub/data")

# --- The hub, and nginx as its proxy --------------------------------------------------------------------------------
c.JupyterHub.hub_bind_url = "http://0.0.0.0:8081"  # every interface of this container, its loopback too
c.JupyterHub.hub_connect_url = "http://hub:8081"
c.JupyterHub.db_url = env["DATABASE_URL"]
c.JupyterHub.cookie_secret_file = str(data / "cookie_secret")
# A restart of the hub must not end anybody's server, nor take its route away.
c.JupyterHub.cleanup_servers = False
c.JupyterHub.cleanup_proxy = False
# nginx answers configurable-http-proxy's REST API (token in CONFIGPROXY_AUTH_TOKEN), so the stock class drives it.
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = "http://proxy-api:8001"
# Also how often routes are compared with what nginx holds, in seconds.
c.JupyterHub.last_activity_interval = 60

# --- Logins ---------------------------------------------------------------------------------------------------------
login = configure_login(c, env)  # the class and settings of the login that AUTH names
# After a change nobody is still logged in the old way.
end_other_logins(env["DATABASE_URL"], login, data / "login")
# A file and not the environment: a container that starts again would still have the admins of the day it was made.
c.Authenticator.admin_users = set(Path(__file__).with_name("admins").read_text().split())

# --- Pages ----------------------------------------------------------------------------------------------------------
c.JupyterHub.template_paths = [str(TEMPLATES)]
c.JupyterHub.jinja_environment_options = {"extensions": [Site]}  # title, logo, announcement, translations
c.JupyterHub.tornado_settings = {
    "transforms": [ByLanguage],  # English or Chinese, by the browser's language
    # What the URLs of the hub's scripts end in: by default the time of its start, after which browsers load all anew.
    "version_hash": version("jupyterhub"),
}
if logo():
    c.JupyterHub.logo_file = str(logo())

# --- A server for each user -----------------------------------------------------------------------------------------
c.JupyterHub.spawner_class = "stackgen_hub.servers.Spawner"  # a DockerSpawner
c.JupyterHub.allow_named_servers = False
c.DockerSpawner.image = env["SAGE_IMAGE"]
c.DockerSpawner.pull_policy = "never"
c.DockerSpawner.prefix = stack
c.DockerSpawner.network_name = f"{stack}-users"
c.DockerSpawner.use_internal_ip = True
c.DockerSpawner.remove = False  # see before_start
c.DockerSpawner.notebook_dir = "/home/sage/notebooks"
c.DockerSpawner.volumes = {env["VOLUME_PREFIX"] + "{username}": "/home/sage/notebooks"}
c.DockerSpawner.extra_create_kwargs = {"labels": {"stackgen.stack": stack, "stackgen.user": "{raw_username}"}}
c.DockerSpawner.extra_host_config = {
    "pids_limit": int(env["PIDS_LIMIT"]),
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
}
c.Spawner.mem_limit = env["MEM_LIMIT"]
c.Spawner.cpu_limit = float(env["CPU_LIMIT"])
c.Spawner.default_url = {"lab": "/lab", "notebook": "/tree"}[env["UI"]]
c.Spawner.pre_spawn_hook = before_start
c.Spawner.start_timeout = 120
c.Spawner.http_timeout = 120
c.Spawner.environment = {
    # Only the volume outlives a server, so what a user sets in JupyterLab and the tabs left open belong there.
    "JUPYTERLAB_SETTINGS_DIR": "/home/sage/notebooks/.jupyter/lab/user-settings",
    "JUPYTERLAB_WORKSPACES_DIR": "/home/sage/notebooks/.jupyter/lab/workspaces",
    # JupyterLab's language; the folder holds its default settings and exists in images built by stackgen
    "JUPYTER_CONFIG_PATH": f"/opt/stackgen/language/{env['STACK_LANGUAGE']}",
    "STACKGEN_LANGUAGE": env["STACK_LANGUAGE"],
}
for key, value in (("VOLUME_QUOTA", quota(env["VOLUME_QUOTA"])), ("PIP_INDEX_URL", env["PIP_INDEX_URL"])):
    if value:
        c.Spawner.environment[key] = value

# --- Services: stackgen itself and the idle culler -------------------------------------------------------------------
# stackgen makes admins, and JupyterHub lets nobody but an admin do that.
c.JupyterHub.services = [{"name": "stackgen", "api_token": env["HUB_API_TOKEN"], "admin": True}]
if int(env["IDLE_TIMEOUT"]):
    c.JupyterHub.services.append(
        {
            "name": "idle-culler",
            "command": [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={int(env['IDLE_TIMEOUT'])}"],
        }
    )
    c.JupyterHub.load_roles = [
        {
            "name": "idle-culler",
            "services": ["idle-culler"],
            "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        }
    ]

# --- The operator's own files ---------------------------------------------------------------------------------------
for path in sorted(Path(__file__).parent.glob("config.d/*.py")):
    exec(compile(path.read_bytes(), str(path), "exec"))
