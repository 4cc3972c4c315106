# Read by every login shell, such as that of JupyterLab's terminal.

# Debian's /etc/profile has just set another one.
PATH=/opt/sage/bin:$PATH:/opt/stackgen/bin

# As for kernels (see stackgen_server/kernels.py): when memory runs out, this shell and what it starts go before the server.
echo 300 >/proc/self/oom_score_adj
