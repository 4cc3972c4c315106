// An OpenID Connect provider with one client, set up by the environment. Its people are read from a file at each use,
// so that a test can change them: {"alice": {"sub", "password", "name", "email", "groups"}, ...}.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { Provider } from 'oidc-provider';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, CALLBACK_URL, AFTER_LOGOUT_URL, TOKEN_LIFETIME } = process.env;
const PEOPLE = '/srv/people.json';

const people = () => JSON.parse(readFileSync(PEOPLE, 'utf8'));

function findAccount(ctx, sub) {
  const found = Object.entries(people()).find(([, person]) => person.sub === sub);
  if (!found) return undefined;
  const [preferred_username, { name, email, groups }] = found;
  return { accountId: sub, claims: () => ({ sub, preferred_username, name, email, email_verified: true, groups }) };
}

// The client belongs to the same institution, so nobody is asked for consent.
async function loadExistingGrant(ctx) {
  const { client, session, provider } = ctx.oidc;
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope([...ctx.oidc.requestParamScopes].join(' '));
  await grant.save();
  return grant;
}

const page = (title, body) => `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title></head><body><h1>${title}</h1>${body}</body></html>`;

const loginPage = (uid, message) => page('University login', `
<form method="post" action="/interaction/${uid}">
  <p id="message" role="alert">${message}</p>
  <p><label for="username">Username</label> <input id="username" name="username" autocomplete="username"></p>
  <p><label for="password">Password</label> <input id="password" name="password" type="password"></p>
  <p><button id="login" type="submit">Log in</button></p>
</form>`);

const provider = new Provider(ISSUER, {
  clients: [{
    client_id: CLIENT_ID,
    client_secret: CLIENT_SECRET,
    redirect_uris: [CALLBACK_URL],
    post_logout_redirect_uris: [AFTER_LOGOUT_URL],
    grant_types: ['authorization_code', 'refresh_token'],
  }],
  jwks: { keys: [generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  claims: {
    openid: ['sub'],
    profile: ['name', 'preferred_username'],
    email: ['email', 'email_verified'],
    groups: ['groups'],
  },
  conformIdTokenClaims: false, // the id_token carries the claims of the scopes too, as those of most providers do
  findAccount,
  loadExistingGrant,
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'), // even without offline_access
  pkce: { required: () => true },
  ttl: { AccessToken: Number(TOKEN_LIFETIME), Grant: 86400, IdToken: 3600, Interaction: 600, Session: 86400 },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    revocation: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource(ctx, form) {
        const button = '<button id="logout" type="submit" form="op.logoutForm" name="logout" value="yes">Log out</button>';
        ctx.body = page('Log out?', form + button);
      },
      postLogoutSuccessSource(ctx) {
        ctx.body = page('You are logged out', '');
      },
    },
  },
  renderError(ctx, { error, error_description }) {
    ctx.type = 'text';
    ctx.body = `${error}: ${error_description}\n`;
  },
});

async function interact(request, response) {
  const { uid, prompt } = await provider.interactionDetails(request, response);
  if (prompt.name === 'consent') {
    return provider.interactionFinished(request, response, { consent: {} });
  }
  let message = '';
  if (request.method === 'POST') {
    const form = new URLSearchParams(await text(request));
    const person = people()[form.get('username')];
    if (person && person.password === form.get('password')) {
      return provider.interactionFinished(request, response, { login: { accountId: person.sub } });
    }
    message = 'Wrong username or password';
  }
  response.writeHead(message ? 401 : 200, { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' });
  return response.end(loginPage(uid, message));
}

const answer = provider.callback();
const tls = { cert: readFileSync('/etc/provider/leaf.pem'), key: readFileSync('/etc/provider/leaf.key') };
https.createServer(tls, (request, response) => {
  if (!request.url.startsWith('/interaction/')) return answer(request, response);
  return interact(request, response).catch((error) => response.writeHead(400).end(`${error.message}\n`));
}).listen(443);
