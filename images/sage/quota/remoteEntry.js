// An extension for JupyterLab and Notebook 7, written as a built one looks (webpack's module federation), so it needs no
// Node.js. The user's server knows whether there is something to say, and says it in the user's language.

{   // a scope of its own: all extensions are scripts of one page
    const activate = app => {
        const { baseUrl } = JSON.parse(document.getElementById('jupyter-config-data').textContent);
        let shown;                                               // a warning that was closed comes with the next page
        const look = async () => {
            const xsrf = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)?.[1] ?? '';
            const answer = await fetch(`${baseUrl}api/stackgen/quota`, { headers: { 'X-XSRFToken': xsrf } });
            if (!answer.ok) {
                return;
            }
            const { warning, seconds } = await answer.json();
            if (warning && !shown) {
                shown = await app.commands.execute('apputils:notify', {
                    message: warning, type: 'warning', options: { autoClose: false },
                });
            } else if (!warning && shown) {
                await app.commands.execute('apputils:dismiss-notification', { id: shown });
                shown = undefined;
            }
            if (seconds) {
                setTimeout(look, seconds * 1000);
            }
        };
        app.restored.then(() => setTimeout(look, 2000));         // after all that the user waits for
    };
    (window._JUPYTERLAB ??= {})['stackgen-quota'] = {
        init: async () => {},
        get: async () => () => ({ __esModule: true, default: {
            id: 'stackgen-quota:plugin',
            description: "Shows a warning while a user's volume holds more than its quota.",
            autoStart: true,
            activate,
        } }),
    };
}
