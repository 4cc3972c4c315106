"""stackgen: JupyterHub with SageMath on one's own server, from one short .env."""

__version__ = "0.2.0"
