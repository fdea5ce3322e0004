// openid-client against the gateway: everything that it can do and we serve.
import assert from 'node:assert/strict';
import * as client from 'openid-client';
import { decodeJwt } from 'jose';
import { assertionKey, BASE, Browser, CLIENTS, PERSON, REDIRECT_URI, test } from './kit.mjs';

const server = new URL(BASE);
// Plain HTTP is for loopback alone.
const execute = [client.allowInsecureRequests];
const SCOPE = 'openid profile email offline_access content.read payments.write';
const STEP_UP = 'urn:postern:acr:2';

const discover = (id, authentication, metadata) =>
  client.discovery(server, id, metadata, authentication, { execute });
const publicClient = await discover(CLIENTS.public.id, client.None());
const browser = new Browser();

/** Authorization by a person in a browser, and the tokens that come of it. */
async function signIn(config, parameters = {}, options = {}) {
  const verifier = client.randomPKCECodeVerifier();
  const request = {
    redirect_uri: REDIRECT_URI,
    scope: SCOPE,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state: client.randomState(),
    nonce: client.randomNonce(),
    ...parameters,
  };
  const build = options.pushed ? client.buildAuthorizationUrlWithPAR : client.buildAuthorizationUrl;
  const url = await build(config, request, options.grant);
  if (options.pushed) assert.deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request_uri']);
  const used = options.browser ?? browser;
  const callback = await used.until(url, request.redirect_uri, PERSON, options.choices);
  const checks = {
    pkceCodeVerifier: verifier,
    expectedState: request.state,
    expectedNonce: request.nonce,
    maxAge: request.max_age === undefined ? undefined : Number(request.max_age),
    idTokenExpected: request.scope.includes('openid'),
  };
  const more = request.resource ? { resource: request.resource } : undefined;
  return client.authorizationCodeGrant(config, callback, checks, more, options.grant);
}

const call = (config, token, path, method = 'GET', options = undefined) =>
  client.fetchProtectedResource(config, token, new URL(path, BASE), method, undefined, undefined, options);

/** What came of a request that must fail. */
async function failure(promise) {
  return promise.then(() => assert.fail('it was granted'), (error) => error);
}

/** The error code that the server answered with. */
async function refusal(promise) {
  const failed = await failure(promise);
  assert.equal(typeof failed.error, 'string', failed);
  return failed.error;
}

await test('both discoveries name this issuer', async () => {
  for (const algorithm of ['oidc', 'oauth2']) {
    const config = await client.discovery(server, 'x', undefined, client.None(), { execute, algorithm });
    assert.equal(config.serverMetadata().issuer, BASE);
    assert.ok(config.serverMetadata().supportsPKCE());
  }
});

await test('code with PKCE, ID token, UserInfo, a call through the gateway', async () => {
  const tokens = await signIn(publicClient, { max_age: '600' });
  const claims = tokens.claims();
  assert.equal(claims.iss, BASE);
  assert.ok(tokens.refresh_token);
  const info = await client.fetchUserInfo(publicClient, tokens.access_token, claims.sub);
  assert.equal(info.email, PERSON.email);
  const answer = await call(publicClient, tokens.access_token, '/content/items');
  assert.equal(answer.status, 200);
  assert.equal(decodeJwt(tokens.access_token).sub, claims.sub);
});

await test('no page where the client asks for none', async () => {
  await signIn(publicClient);
  const tokens = await signIn(publicClient, { prompt: 'none' });
  assert.ok(tokens.access_token);
  const stranger = signIn(publicClient, { prompt: 'none' }, { browser: new Browser() });
  assert.equal(await refusal(stranger), 'login_required');
});

await test('refresh, and a retry that gets the same answer', async () => {
  const first = await signIn(publicClient);
  const second = await client.refreshTokenGrant(publicClient, first.refresh_token);
  assert.notEqual(second.refresh_token, first.refresh_token);
  const again = await client.refreshTokenGrant(publicClient, first.refresh_token);
  assert.equal(again.refresh_token, second.refresh_token);
  assert.equal(again.access_token, second.access_token);
  const narrower = { scope: 'openid content.read' };
  const third = await client.refreshTokenGrant(publicClient, second.refresh_token, narrower);
  assert.equal(decodeJwt(third.access_token).scope, narrower.scope);
});

await test('a client with a secret, and a person who is asked', async () => {
  const { id, secret } = CLIENTS.web;
  const config = await discover(id, client.ClientSecretBasic(secret));
  const refused = signIn(config, {}, { choices: { decision: 'deny' } });
  assert.equal(await refusal(refused), 'access_denied');
  const tokens = await signIn(config);
  assert.equal(decodeJwt(tokens.access_token).client_id, id);
});

await test('client credentials by each way to authenticate', async () => {
  const { key, kid } = await assertionKey();
  for (const [name, authentication] of [
    ['service', client.ClientSecretBasic(CLIENTS.service.secret)],
    ['post', client.ClientSecretPost(CLIENTS.post.secret)],
    ['key', client.PrivateKeyJwt({ key, kid })],
  ]) {
    const config = await discover(CLIENTS[name].id, authentication);
    const tokens = await client.clientCredentialsGrant(config, { scope: 'content.read' });
    assert.equal(tokens.refresh_token, undefined);
    assert.equal((await call(config, tokens.access_token, '/content/items')).status, 200, name);
  }
  const wrong = await discover(CLIENTS.service.id, client.ClientSecretBasic('x'.repeat(43)));
  const refused = await failure(client.clientCredentialsGrant(wrong, { scope: 'content.read' }));
  assert.equal(refused.status, 401);
});

await test('tokens that are bound to a key (DPoP)', async () => {
  const keys = await client.randomDPoPKeyPair('ES256');
  const DPoP = client.getDPoPHandle(publicClient, keys);
  const tokens = await signIn(publicClient, {}, { grant: { DPoP } });
  assert.equal(tokens.token_type, 'dpop');
  const info = await client.fetchUserInfo(publicClient, tokens.access_token, tokens.claims().sub, { DPoP });
  assert.equal(info.email, PERSON.email);
  const answer = await call(publicClient, tokens.access_token, '/bound/items', 'GET', { DPoP });
  assert.equal(answer.status, 200);
  const other = client.getDPoPHandle(publicClient, await client.randomDPoPKeyPair('ES256'));
  const stolen = client.refreshTokenGrant(publicClient, tokens.refresh_token, undefined, { DPoP: other });
  assert.ok(['invalid_grant', 'invalid_dpop_proof'].includes(await refusal(stolen)));
  const next = await client.refreshTokenGrant(publicClient, tokens.refresh_token, undefined, { DPoP });
  assert.equal(next.token_type, 'dpop');
});

await test('pushed authorization requests', async () => {
  const tokens = await signIn(publicClient, {}, { pushed: true });
  assert.ok(tokens.access_token);
});

await test('log-in on another device', async () => {
  const config = await discover(CLIENTS.device.id, client.None());
  const started = await client.initiateDeviceAuthorization(config, { scope: 'openid content.read' });
  assert.match(started.user_code, /^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$/);
  await browser.allowDevice(started.verification_uri, started.user_code, PERSON);
  const tokens = await client.pollDeviceAuthorizationGrant(config, started);
  assert.equal((await call(config, tokens.access_token, '/content/items')).status, 200);
});

await test('introspection, and revocation that it sees', async () => {
  const { id, secret } = CLIENTS.service;
  const looking = await discover(id, client.ClientSecretBasic(secret));
  const tokens = await signIn(publicClient);
  const active = await client.tokenIntrospection(looking, tokens.access_token);
  assert.equal(active.active, true);
  assert.equal(active.sub, tokens.claims().sub);
  assert.deepEqual(await client.tokenIntrospection(looking, 'x'.repeat(43)), { active: false });
  await client.tokenRevocation(publicClient, tokens.refresh_token);
  const spent = client.refreshTokenGrant(publicClient, tokens.refresh_token);
  assert.equal(await refusal(spent), 'invalid_grant');
  const ended = await client.tokenIntrospection(looking, tokens.access_token);
  assert.deepEqual(ended, { active: false });
});

await test('an agent finds its way, registers itself, and asks for one resource', async () => {
  const answer = await fetch(new URL('/content/items', BASE));
  assert.equal(answer.status, 401);
  const challenge = answer.headers.get('www-authenticate');
  const [, where] = /resource_metadata="([^"]+)"/.exec(challenge) ?? assert.fail(challenge);
  const resource = await (await fetch(where)).json();
  assert.deepEqual(resource.authorization_servers, [BASE]);
  const metadata = {
    client_name: 'Agent',
    redirect_uris: [REDIRECT_URI],
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    scope: 'openid offline_access content.read',
  };
  const config = await client.dynamicClientRegistration(
    new URL(resource.authorization_servers[0]), metadata, client.None(), { execute },
  );
  assert.deepEqual(config.clientMetadata().redirect_uris, metadata.redirect_uris);
  const tokens = await signIn(config, { scope: metadata.scope, resource: resource.resource });
  assert.deepEqual([decodeJwt(tokens.access_token).aud].flat(), [resource.resource]);
  assert.equal((await call(config, tokens.access_token, '/content/items')).status, 200);
  const foreign = signIn(config, { scope: metadata.scope, resource: 'https://elsewhere.test/' });
  assert.equal(await refusal(foreign), 'invalid_target');
});

await test('a step up, as the gateway asks for it', async () => {
  const tokens = await signIn(publicClient);
  const refused = await failure(call(publicClient, tokens.access_token, '/payments/1', 'POST'));
  const { scheme, parameters } = refused.cause[0];
  assert.equal(scheme, 'bearer');
  assert.equal(parameters.error, 'insufficient_user_authentication');
  assert.equal(parameters.acr_values, STEP_UP);
  const { acr_values, max_age } = parameters;
  const stronger = await signIn(publicClient, { acr_values, ...(max_age && { max_age }) });
  assert.equal(stronger.claims().acr, STEP_UP);
  assert.equal((await call(publicClient, stronger.access_token, '/payments/1', 'POST')).status, 200);
});

await test('log-out leads back to the client, and ends the session', async () => {
  const tokens = await signIn(publicClient);
  const bye = new URL('/bye', REDIRECT_URI).href;
  const url = client.buildEndSessionUrl(publicClient, {
    id_token_hint: tokens.id_token,
    post_logout_redirect_uri: bye,
    state: 'after',
  });
  const end = await browser.until(url, bye, PERSON);
  assert.equal(end.searchParams.get('state'), 'after');
  const next = signIn(publicClient, { prompt: 'none' });
  assert.equal(await refusal(next), 'login_required');
});
