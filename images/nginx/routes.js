// JupyterHub's proxy inside nginx: the routing table and configurable-http-proxy's REST API (CHP), which JupyterHub's
// stock ConfigurableHTTPProxy class drives. Runs in njs 0.8.9: ES5.1 plus arrow functions, let and const; no for...of.
//
// A route is a path prefix ('/user/bob') and the JSON object that the hub posted for it ({target, user, ...}).
// nginx has decoded r.uri once, for API calls and proxied requests alike, so '/@' and '/%40' are one route.
//
// Every request gets a fresh VM: what must last lives in shared dictionaries, which all workers see:
//   routes    path -> the object as JSON
//   activity  path -> time of the last successful response, ms since the epoch
//   table     'loaded': the journal has been read, 'room': lines that may be added to it before it is written anew,
//             'lock': the process that is changing the table

import crypto from 'crypto';
import fs from 'fs';

const JOURNAL = '/var/lib/stackgen/routes/routes.json';
const MIN_ROOM = 1000;            // lines; a journal grows by its own length, so writing it anew costs little per change
const LOCK_TIMEOUT = 2000;        // ms; a start with 10 000 routes holds it for 200
const ALL = 0x7fffffff;           // items() stops at 1024 unless told otherwise
const MAX_PATH = 1024;            // characters of a request's path that are looked at; bounds the work per request
const ACTIVITY_INTERVAL = 1000;   // ms; a busy route is written down no more often

function routePath(uri) {
    return uri.replace(/\/+$/, '') || '/';
}

// A route as JSON. njs frees nothing before the request ends, so a large table is put together from text.
function withActivity(json, time) {
    return `${json.slice(0, -1)},"last_activity":"${new Date(time).toISOString()}"}`;
}

function lastActivity(path) {
    return ngx.shared.activity.get(path) || 0;
}

// Changes are made one at a time, or two workers could leave dictionary and journal in different orders. The others
// spin, as a change takes a fraction of a millisecond; a worker that was killed has its lock taken over.
function exclusively(change) {
    const table = ngx.shared.table;
    const deadline = Date.now() + LOCK_TIMEOUT;
    while (!table.add('lock', process.pid) && Date.now() < deadline) {}
    try {
        return change();
    } finally {
        table.delete('lock');
    }
}

// The table outlives nginx in a journal, or users would meet an empty proxy until the hub's next check (minutes). Each
// line is an object of paths and their routes, null for a route that is gone; later lines win. A line begins with the
// line break, so what a crash has torn spoils no other.
function line(path, json) {
    return `\n{${JSON.stringify(path)}:${json ? withActivity(json, lastActivity(path)) : null}}`;
}

// Add a line, or, when there is no room for it or none is given, write the journal anew. Not being able to write is no
// reason to refuse a route; the next change tries to write all.
function save(added) {
    const table = ngx.shared.table;
    try {
        if (added && table.incr('room', -1, 0) >= 0) {
            fs.appendFileSync(JOURNAL, added);
            return;
        }
        const lines = ngx.shared.routes.items(ALL).map(item => line(item[0], item[1]));
        fs.writeFileSync(`${JOURNAL}.tmp`, lines.join(''));
        fs.renameSync(`${JOURNAL}.tmp`, JOURNAL);
        table.set('room', Math.max(lines.length, MIN_ROOM));
    } catch (e) {
        table.set('room', 0);
        ngx.log(ngx.ERR, `routes: cannot save ${JOURNAL}: ${e.message}`);
    }
}

// Put a route into the dictionaries: its JSON there. Nothing changes if they are full.
function put(path, route, time) {
    delete route.last_activity;
    const json = JSON.stringify(route);
    try {
        ngx.shared.activity.set(path, time);
        ngx.shared.routes.set(path, json);
        return json;
    } catch (e) {
        if (!ngx.shared.routes.has(path)) {
            ngx.shared.activity.delete(path);
        }
        ngx.log(ngx.ERR, `routes: no room for ${path}; api.conf sets the size of the table`);
        return null;
    }
}

function drop(path) {
    ngx.shared.activity.delete(path);
    return ngx.shared.routes.delete(path);
}

// Make the changes in a line of the journal, all of them or none.
function repeat(text) {
    const change = JSON.parse(text);
    const paths = Object.keys(change);
    paths.forEach(path => {
        if (change[path] !== null && typeof change[path].target !== 'string') {
            throw new TypeError(`no target for ${path}`);
        }
    });
    paths.forEach(path => {
        const route = change[path];
        return route ? put(path, route, Date.parse(route.last_activity) || Date.now()) : drop(path);
    });
}

function load() {
    const table = ngx.shared.table;
    if (table.has('loaded')) {
        return;
    }
    exclusively(() => {
        if (table.has('loaded')) {   // another worker has, while this one waited
            return;
        }
        let lines = [];
        try {
            lines = fs.readFileSync(JOURNAL).toString().split('\n');
        } catch (e) {
            if (e.code !== 'ENOENT') {
                ngx.log(ngx.ERR, `routes: cannot read ${JOURNAL}: ${e.message}`);
            }
        }
        lines.filter(Boolean).forEach((text, number) => {
            try {
                repeat(text);
            } catch (e) {
                ngx.log(ngx.ERR, `routes: ignoring the damaged change ${number + 1} in ${JOURNAL}: ${e.message}`);
            }
        });
        save();
        table.set('loaded', 1);
    });
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

function targetOf(path) {
    const route = ngx.shared.routes.get(path);
    return route ? JSON.parse(route).target.replace(/\/+$/, '') : '';
}

// $target: where that route leads. It is put before $request_uri, which begins with a slash.
function target(r) {
    return targetOf(r.variables.route);
}

// $error_page: who answers when a server does not. A script or a websocket gets the status alone; a browser that waits
// for a page gets the hub's, which offers to start the server, unless it is the hub that does not answer.
function errorPage(r) {
    if (!/text\/html/.test(r.headersIn.Accept)) {
        return '@unavailable';
    }
    return r.variables.route.length > 1 && ngx.shared.routes.has('/') ? '@hub_error_page' : '/unavailable.html';
}

// $hub_error_page: where the hub has it. configurable-http-proxy asks for /hub/error/503?url=REQUEST_URI; here without
// the query string, which can carry a token and would get into the hub's log.
function hubErrorPage(r) {
    const path = encodeURIComponent(r.variables.request_uri.split('?')[0]);
    return `${targetOf('/')}/hub/error/503?url=${path}`;
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

function answer(r, status, json) {
    r.headersOut['Content-Type'] = 'application/json';
    r.return(status, json);
}

function fail(r, status, message) {
    answer(r, status, JSON.stringify({status: status, message: message}));
}

function getRoutes(r, path) {
    if (path !== '/') {
        const json = ngx.shared.routes.get(path);
        return json ? answer(r, 200, withActivity(json, lastActivity(path))) : fail(r, 404, `no route ${path}`);
    }
    const since = r.args.inactiveSince || r.args.inactive_since;
    // njs wants a fraction of a second before an offset
    const limit = since ? Date.parse(since.replace(/(:\d\d)([+-]\d\d:\d\d)$/, '$1.0$2')) : Infinity;
    if (isNaN(limit)) {
        return fail(r, 400, 'inactive_since must be an ISO 8601 date');
    }
    const found = [];
    ngx.shared.routes.items(ALL).forEach(item => {
        const time = lastActivity(item[0]);
        if (time < limit) {
            found.push(`${JSON.stringify(item[0])}:${withActivity(item[1], time)}`);
        }
    });
    answer(r, 200, `{${found.join()}}`);
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
    const done = exclusively(() => {
        const json = put(path, route, Date.now());
        if (json) {
            save(line(path, json));
        }
        return json;
    });
    return done ? r.return(201) : fail(r, 507, 'the table of routes is full');
}

function deleteRoute(r, path) {
    const done = exclusively(() => {
        const existed = drop(path);
        if (existed) {
            save(line(path));
        }
        return existed;
    });
    return done ? r.return(204) : fail(r, 404, `no route ${path}`);
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

export default { api, errorPage, httpsPort, hubErrorPage, match, target, touch };
