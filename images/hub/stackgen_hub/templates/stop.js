function stopsServer(button, state, url, xsrf, stopping, failed) {
  button.onclick = async () => {
    button.disabled = true;
    state.textContent = stopping;
    const answer = await fetch(url, {method: "DELETE", headers: {"X-XSRFToken": xsrf}}).catch(() => ({ok: false}));
    if (answer.ok) return location.reload();
    button.disabled = false;
    state.textContent = failed;
  };
}
