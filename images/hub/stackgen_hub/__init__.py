"""What stackgen adds to JupyterHub: accounts with managed passwords, and labelled volumes."""
