"""Settings of every user's server in this image."""

from stackgen_server import assets

c = get_config()  # noqa: F821

# The first in the launcher, and what a new notebook offers.
c.MultiKernelManager.default_kernel_name = "sagemath"

c.ServerApp.contents_manager_class = "stackgen_server.contents.ContentsManager"
c.ServerApp.kernel_websocket_connection_class = "stackgen_server.connection.Connection"
c.ServerApp.kernel_manager_class = "stackgen_server.kernels.MappingKernelManager"
c.AsyncMappingKernelManager.kernel_manager_class = "stackgen_server.kernels.KernelManager"
# How soon a user learns that the kernel has died, in seconds.
c.KernelRestarter.time_to_dead = 1.0

# What nobody uses costs time at each start and memory all the time.
c.ServerApp.jpserver_extensions = {
    "jupyter_lsp": False,
    "jupyter_resource_usage": False,
    "notebook_shim": False,
    "stackgen_server.extension": True,
}
# A user cannot write to the image, so there is nothing that a manager of extensions could install.
c.LabApp.extension_manager = "readonly"
# Under URLs that name their version, nginx can answer for the server, and browsers keep what they got.
for name, url in assets.urls().items():
    setattr(c.LabServerApp, name, url)
