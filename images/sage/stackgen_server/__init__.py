"""What a user's Jupyter server does more than Jupyter Server and JupyterHub do."""
