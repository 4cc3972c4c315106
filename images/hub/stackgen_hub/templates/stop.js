async function stopServer() {
  const headers = {"X-XSRFToken": {{ xsrf_token | tojson }}};
  const answer = await fetch({{ server_api | tojson }}, {method: "DELETE", headers}).catch(() => ({ok: false}));
  return answer.ok;
}
