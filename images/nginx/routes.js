// JupyterHub's proxy inside nginx: the routing table and configurable-http-proxy's REST API (CHP), which JupyterHub's
// stock ConfigurableHTTPProxy class drives. Runs in njs 0.8.9: ES5.1 plus arrow functions, let and const; no for...of.
//
// A route is a path prefix ('/user/bob') and the JSON object that the hub posted for it ({target, user, ...}).
// nginx has decoded r.uri once, for API calls and proxied requests alike, so '/@' and '/%40' are one route.
//
// Every request gets a fresh VM: what must last lives in shared dictionaries, which all workers see:
//   routes    path -> the object as JSON
//   activity  path -> time of the last successful response, ms since the epoch
//   table     'version': changes so far, 'loaded': the saved table has been read

import crypto from 'crypto';
import fs from 'fs';

const FILE = '/var/lib/stackgen/routes/routes.json';
const ALL = 0x7fffffff;           // items() stops at 1024 unless told otherwise
const MAX_PATH = 1024;            // characters of a request's path that are looked at; bounds the work per request
const ACTIVITY_INTERVAL = 1000;   // ms; a busy route is written down no more often

function routePath(uri) {
    return uri.replace(/\/+$/, '') || '/';
}

function withActivity(path, json) {
    const route = JSON.parse(json);
    route.last_activity = new Date(ngx.shared.activity.get(path) || 0).toISOString();
    return route;
}

function list() {
    const all = {};
    ngx.shared.routes.items(ALL).forEach(item => { all[item[0]] = withActivity(item[0], item[1]); });
    return all;
}

// The table outlives nginx in a file, or users would meet an empty proxy until the hub's next check (minutes).
// Not being able to write it is no reason to refuse a route.
function save() {
    const table = ngx.shared.table;
    const temporary = `${FILE}.${process.pid}.tmp`;
    let version = table.incr('version', 1, 0);
    try {
        // Another worker may save an older table after this one: whoever renamed last sees the newer version and
        // saves again, so the file ends up current without a lock.
        for (;;) {
            fs.writeFileSync(temporary, JSON.stringify(list()));
            fs.renameSync(temporary, FILE);
            const now = table.get('version');
            if (now === version) {
                return;
            }
            version = now;
        }
    } catch (e) {
        ngx.log(ngx.ERR, `routes: cannot save ${FILE}: ${e.message}`);
    }
}

function load() {
    if (ngx.shared.table.has('loaded')) {
        return;
    }
    try {
        const saved = JSON.parse(fs.readFileSync(FILE, 'utf8'));
        Object.keys(saved).forEach(path => {
            if (typeof saved[path].target !== 'string') {
                throw new TypeError(`no target for ${path}`);
            }
        });
        // Workers may get here together: add() overwrites nothing that the hub has posted since.
        Object.keys(saved).forEach(path => {
            if (ngx.shared.routes.add(path, JSON.stringify(saved[path]))) {
                ngx.shared.activity.set(path, Date.parse(saved[path].last_activity) || Date.now());
            }
        });
    } catch (e) {
        if (e.code !== 'ENOENT') {
            ngx.log(ngx.ERR, `routes: ignoring the damaged ${FILE}: ${e.message}`);
        }
    }
    ngx.shared.table.set('loaded', 1);
}

// $route: the longest registered prefix of the request's path that ends at a segment's end; '' if there is none.
function match(r) {
    load();
    const routes = ngx.shared.routes;
    let path = r.uri.replace(/\/+$/, '');
    if (path.length > MAX_PATH) {
        path = path.slice(0, path.lastIndexOf('/', MAX_PATH));
    }
    while (path && !routes.has(path)) {
        path = path.slice(0, path.lastIndexOf('/'));
    }
    return path || (routes.has('/') ? '/' : '');
}

// $target: where that route leads. It is put before $request_uri, which begins with a slash.
function target(r) {
    const route = ngx.shared.routes.get(r.variables.route);
    return route ? JSON.parse(route).target.replace(/\/+$/, '') : '';
}

// Header filter of proxied responses; sees a websocket once, when it opens. Like CHP, takes errors and redirects
// (a stranger sent to the login page) for no activity.
function touch(r) {
    const now = Date.now();
    const successful = r.status < 300 || r.status === 304;
    if (successful && now - ngx.shared.activity.get(r.variables.route) >= ACTIVITY_INTERVAL) {
        ngx.shared.activity.replace(r.variables.route, now);   // does nothing if the route has just been deleted
    }
}

// $https_port: what a redirect to https must add to the host name.
function httpsPort() {
    const port = process.env.HTTPS_PORT || '443';
    return port === '443' ? '' : `:${port}`;
}

function authorized(r) {
    const token = process.env.CONFIGPROXY_AUTH_TOKEN;
    const digest = text => crypto.createHash('sha256').update(text).digest('hex');
    // digests, so that the time it takes tells nothing about the token
    return Boolean(token) && digest(r.headersIn.Authorization || '') === digest(`token ${token}`);
}

function answer(r, status, body) {
    r.headersOut['Content-Type'] = 'application/json';
    r.return(status, JSON.stringify(body));
}

function fail(r, status, message) {
    answer(r, status, {status: status, message: message});
}

function getRoutes(r, path) {
    if (path !== '/') {
        const route = ngx.shared.routes.get(path);
        return route ? answer(r, 200, withActivity(path, route)) : fail(r, 404, `no route ${path}`);
    }
    const all = list();
    const since = r.args.inactiveSince || r.args.inactive_since;
    if (since) {
        // njs wants a fraction of a second before an offset
        const limit = Date.parse(since.replace(/(:\d\d)([+-]\d\d:\d\d)$/, '$1.0$2'));
        if (isNaN(limit)) {
            return fail(r, 400, 'inactive_since must be an ISO 8601 date');
        }
        Object.keys(all).filter(key => Date.parse(all[key].last_activity) >= limit).forEach(key => { delete all[key]; });
    }
    answer(r, 200, all);
}

function postRoute(r, path) {
    let route;
    try {
        route = JSON.parse(r.requestText);
    } catch (e) {
        return fail(r, 400, 'the body must be JSON');
    }
    if (!route || typeof route.target !== 'string' || !/^https?:\/\//.test(route.target)) {
        return fail(r, 400, 'target must be a string, http://HOST:PORT');
    }
    if (path.length > MAX_PATH) {
        return fail(r, 400, `the path is longer than ${MAX_PATH} characters`);
    }
    ngx.shared.routes.set(path, JSON.stringify(route));
    ngx.shared.activity.set(path, Date.now());
    save();
    r.return(201);
}

function deleteRoute(r, path) {
    if (!ngx.shared.routes.delete(path)) {
        return fail(r, 404, `no route ${path}`);
    }
    ngx.shared.activity.delete(path);
    save();
    r.return(204);
}

// /api/routes[/PATH]
function api(r) {
    if (!authorized(r)) {
        return fail(r, 403, 'wrong or missing token');
    }
    load();
    const path = routePath(r.uri.slice('/api/routes'.length));
    switch (r.method) {
    case 'GET': return getRoutes(r, path);
    case 'POST': return postRoute(r, path);
    case 'DELETE': return deleteRoute(r, path);
    default: return fail(r, 405, 'GET, POST or DELETE');
    }
}

export default { api, httpsPort, match, target, touch };
