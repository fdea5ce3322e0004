// oauth4webapi against the gateway: the same protocols by their single steps, each answer of ours
// judged by its own reader.
import assert from 'node:assert/strict';
import * as oauth from 'oauth4webapi';
import { assertionKey, BASE, Browser, CLIENTS, PERSON, REDIRECT_URI, test } from './kit.mjs';

const issuer = new URL(BASE);
// Plain HTTP is for loopback alone.
const plain = { [oauth.allowInsecureRequests]: true };
const SCOPE = 'openid profile email offline_access content.read';

const as = await oauth.discoveryRequest(issuer, { algorithm: 'oidc', ...plain })
  .then((response) => oauth.processDiscoveryResponse(issuer, response));
const none = oauth.None();
const app = { client_id: CLIENTS.public.id };
const service = { client_id: CLIENTS.service.id };
const byBasic = oauth.ClientSecretBasic(CLIENTS.service.secret);

/** Authorization by a person in a browser: parameters of the callback, checked. */
async function authorize(client, start, request, browser = new Browser()) {
  const callback = await browser.until(start, request.redirect_uri, PERSON);
  return oauth.validateAuthResponse(as, client, callback, request.state);
}

async function request(more = {}) {
  const verifier = oauth.generateRandomCodeVerifier();
  const parameters = {
    response_type: 'code',
    redirect_uri: REDIRECT_URI,
    scope: SCOPE,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    ...more,
  };
  return { parameters, verifier };
}

function authorizationUrl(client, parameters) {
  const url = new URL(as.authorization_endpoint);
  url.search = new URLSearchParams({ client_id: client.client_id, ...parameters }).toString();
  return url;
}

async function codeTokens(client, authentication, options = plain, more = {}) {
  const { parameters, verifier } = await request(more);
  const callback = await authorize(client, authorizationUrl(client, parameters), parameters);
  const response = await oauth.authorizationCodeGrantRequest(
    as, client, authentication, callback, REDIRECT_URI, verifier, options,
  );
  const expected = { expectedNonce: parameters.nonce, requireIdToken: true };
  const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, expected);
  return { tokens, response };
}

const code = (promise) => promise.then(() => assert.fail('it was granted'), (error) => error.error);

await test('metadata of OAuth and of OpenID Connect say the same', async () => {
  const other = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...plain })
    .then((response) => oauth.processDiscoveryResponse(issuer, response));
  for (const [name, value] of Object.entries(other)) assert.deepEqual(as[name], value, name);
  assert.equal(as.authorization_response_iss_parameter_supported, true);
  assert.deepEqual(as.code_challenge_methods_supported, ['S256']);
});

await test('code with PKCE, and an ID token whose signature holds', async () => {
  const { tokens, response } = await codeTokens(app, none);
  await oauth.validateApplicationLevelSignature(as, response, plain);
  const { sub } = oauth.getValidatedIdTokenClaims(tokens);
  const info = await oauth.userInfoRequest(as, app, tokens.access_token, plain);
  const read = await oauth.processUserInfoResponse(as, app, sub, info);
  assert.equal(read.email, PERSON.email);
});

await test('an access token is as RFC 9068 has it', async () => {
  const { tokens } = await codeTokens(app, none);
  const headers = { authorization: `Bearer ${tokens.access_token}` };
  const claims = await oauth.validateJwtAccessToken(
    as, new Request(new URL('/content/items', BASE), { headers }), BASE, plain,
  );
  assert.equal(claims.client_id, app.client_id);
});

await test('a verifier of another request is refused', async () => {
  const { parameters } = await request();
  const callback = await authorize(app, authorizationUrl(app, parameters), parameters);
  const other = oauth.generateRandomCodeVerifier();
  const response = oauth.authorizationCodeGrantRequest(
    as, app, none, callback, REDIRECT_URI, other, plain,
  );
  const processed = response.then((it) => oauth.processAuthorizationCodeResponse(as, app, it));
  assert.equal(await code(processed), 'invalid_grant');
});

await test('refresh', async () => {
  const { tokens } = await codeTokens(app, none);
  const response = await oauth.refreshTokenGrantRequest(as, app, none, tokens.refresh_token, plain);
  const next = await oauth.processRefreshTokenResponse(as, app, response);
  assert.notEqual(next.refresh_token, tokens.refresh_token);
});

await test('client credentials by each way to authenticate', async () => {
  const { key, kid } = await assertionKey();
  for (const [name, authentication] of [
    ['service', byBasic],
    ['post', oauth.ClientSecretPost(CLIENTS.post.secret)],
    ['key', oauth.PrivateKeyJwt({ key, kid })],
  ]) {
    const client = { client_id: CLIENTS[name].id };
    const response = await oauth.clientCredentialsGrantRequest(
      as, client, authentication, { scope: 'content.read' }, plain,
    );
    const tokens = await oauth.processClientCredentialsResponse(as, client, response);
    assert.equal(tokens.token_type, 'bearer', name);
  }
});

await test('tokens that are bound to a key (DPoP)', async () => {
  const DPoP = oauth.DPoP(app, await oauth.generateKeyPair('ES256'));
  const { tokens } = await codeTokens(app, none, { DPoP, ...plain });
  assert.equal(tokens.token_type, 'dpop');
  const url = new URL('/bound/items', BASE);
  const answer = await oauth.protectedResourceRequest(
    tokens.access_token, 'GET', url, undefined, undefined, { DPoP, ...plain },
  );
  assert.equal(answer.status, 200);
  const response = await oauth.refreshTokenGrantRequest(
    as, app, none, tokens.refresh_token, { DPoP, ...plain },
  );
  const next = await oauth.processRefreshTokenResponse(as, app, response);
  assert.equal(next.token_type, 'dpop');
});

await test('pushed authorization requests, once each', async () => {
  const { parameters, verifier } = await request();
  const response = await oauth.pushedAuthorizationRequest(as, app, none, parameters, plain);
  const pushed = await oauth.processPushedAuthorizationResponse(as, app, response);
  const url = authorizationUrl(app, { request_uri: pushed.request_uri });
  const browser = new Browser();
  const callback = await authorize(app, url, parameters, browser);
  const granted = await oauth.authorizationCodeGrantRequest(
    as, app, none, callback, REDIRECT_URI, verifier, plain,
  );
  await oauth.processAuthorizationCodeResponse(as, app, granted, { expectedNonce: parameters.nonce });
  const again = await fetch(url, { redirect: 'manual' });
  assert.equal(again.status, 400);
});

await test('log-in on another device', async () => {
  const device = { client_id: CLIENTS.device.id };
  const begun = await oauth.deviceAuthorizationRequest(
    as, device, none, { scope: 'openid content.read' }, plain,
  );
  const started = await oauth.processDeviceAuthorizationResponse(as, device, begun);
  const poll = () => oauth.deviceCodeGrantRequest(as, device, none, started.device_code, plain)
    .then((response) => oauth.processDeviceCodeResponse(as, device, response));
  const pause = () => new Promise((done) => setTimeout(done, 1000 * (started.interval ?? 5) + 100));
  assert.equal(await code(poll()), 'authorization_pending');
  const where = started.verification_uri_complete ?? started.verification_uri;
  await new Browser().allowDevice(where, started.user_code, PERSON);
  await pause();
  const tokens = await poll();
  assert.ok(tokens.access_token);
  await pause();
  assert.match(await code(poll()), /^(invalid_grant|expired_token)$/);
});

await test('introspection and revocation', async () => {
  const { tokens } = await codeTokens(app, none);
  const look = async (token) => oauth.processIntrospectionResponse(
    as, service, await oauth.introspectionRequest(as, service, byBasic, token, plain),
  );
  assert.equal((await look(tokens.access_token)).client_id, app.client_id);
  const revoked = await oauth.revocationRequest(as, app, none, tokens.access_token, plain);
  await oauth.processRevocationResponse(revoked);
  assert.deepEqual(await look(tokens.access_token), { active: false });
  const unknown = await oauth.revocationRequest(as, app, none, 'never-was-one', plain);
  await oauth.processRevocationResponse(unknown);
});

await test('a token for another (RFC 8693)', async () => {
  const exchanger = { client_id: CLIENTS.exchange.id };
  const byItsSecret = oauth.ClientSecretBasic(CLIENTS.exchange.secret);
  const { tokens } = await codeTokens(exchanger, byItsSecret);
  const type = 'urn:ietf:params:oauth:token-type:access_token';
  const parameters = { subject_token: tokens.access_token, subject_token_type: type, scope: 'content.read' };
  const response = await oauth.genericTokenEndpointRequest(
    as, exchanger, byItsSecret, 'urn:ietf:params:oauth:grant-type:token-exchange', parameters, plain,
  );
  const exchanged = await oauth.processGenericTokenEndpointResponse(as, exchanger, response);
  assert.equal(exchanged.issued_token_type, type);
  assert.equal(exchanged.scope, 'content.read');
  // Whoever finds somebody else's token makes nothing of it.
  const others = await codeTokens(app, none);
  const found = { ...parameters, subject_token: others.tokens.access_token };
  const refused = await oauth.genericTokenEndpointRequest(
    as, exchanger, byItsSecret, 'urn:ietf:params:oauth:grant-type:token-exchange', found, plain,
  );
  assert.equal(refused.status, 400);
});

await test('a resource says whose tokens it takes (RFC 9728)', async () => {
  const response = await oauth.resourceDiscoveryRequest(issuer, plain);
  const resource = await oauth.processResourceDiscoveryResponse(issuer, response);
  assert.deepEqual(resource.authorization_servers, [BASE]);
});

await test('a client registers itself (RFC 7591)', async () => {
  const metadata = {
    client_name: 'Reader',
    redirect_uris: [REDIRECT_URI],
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    scope: SCOPE,
  };
  const response = await oauth.dynamicClientRegistrationRequest(as, metadata, plain);
  const client = await oauth.processDynamicClientRegistrationResponse(response);
  assert.equal(client.client_secret, undefined);
  const { tokens } = await codeTokens(client, none);
  assert.ok(tokens.access_token);
  const wrong = { ...metadata, redirect_uris: ['https://app.test/#fragment'] };
  const refused = oauth.dynamicClientRegistrationRequest(as, wrong, plain)
    .then(oauth.processDynamicClientRegistrationResponse);
  assert.equal(await code(refused), 'invalid_redirect_uri');
});
