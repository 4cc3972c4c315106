// An extension for JupyterLab, written as a built one looks (webpack's module federation), so it needs no Node.js.
//
// JupyterLab 4.6 shows the launcher only after it has saved the workspace that it has just read, which it puts off for
// half a second or more. Here the launcher comes as soon as the layout is restored and has turned out to be empty.

(window._JUPYTERLAB ??= {})['stackgen-launcher'] = {
    init: async () => {},
    get: async () => () => ({ __esModule: true, default: plugin }),
};

const plugin = {
    id: 'stackgen-launcher:plugin',
    description: 'Shows the launcher as soon as there is room for it.',
    autoStart: true,
    activate: app => {
        const { treePath } = JSON.parse(document.getElementById('jupyter-config-data').textContent);
        const isLab = typeof app.shell.isEmpty === 'function';   // Notebook 7 loads this too, and has no launcher
        if (!isLab || treePath) {                                // something else is about to be opened
            return;
        }
        app.restored.then(() => {
            if (app.shell.isEmpty('main') && app.commands.hasCommand('launcher:create')) {
                app.commands.execute('launcher:create');
            }
        });
    },
};
