"""Settings of every user's server in this image."""

c = get_config()  # noqa: F821

# The first in the launcher, and what a new notebook offers.
c.MultiKernelManager.default_kernel_name = "sagemath"
