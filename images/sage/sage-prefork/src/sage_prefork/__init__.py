"""Sage kernels that start at once: one process of a Jupyter server imports Sage, and forks a kernel for each request.

Provisioner (in the Jupyter server) -> client -> socket -> server (the preforking process) -> kernel (the forked one)
"""
