// An application asks for access: its user says what it may do, and it is told that or nothing.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { at, credentials, done, logIn, test } from './_kit.mjs';

const { CLIENTS, REDIRECT_URI } = process.env;
assert.ok(CLIENTS && REDIRECT_URI, 'CLIENTS and REDIRECT_URI are not set');
const callback = new URL(REDIRECT_URI);

// The application: it shows what it was told.
const application = createServer((request, response) => response.end(request.url));
await new Promise((listening) => application.listen(Number(callback.port), callback.hostname, listening));

const ask = (more = {}) => {
  const parameters = new URLSearchParams({
    response_type: 'code',
    client_id: JSON.parse(CLIENTS).web.id,
    redirect_uri: REDIRECT_URI,
    scope: 'openid email content.read payments.write',
    state: 'a state',
    // RFC 7636, Appendix B.
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
    ...more,
  });
  return `/oauth2/authorize?${parameters}`;
};
const told = async (page) => {
  await page.waitForURL((url) => url.origin === callback.origin);
  return new URL(page.url()).searchParams;
};

await test('what is refused is told to the application', async (page) => {
  await page.goto(ask());
  await credentials(page);
  await at(page, '/login/consent');
  await page.getByRole('button', { name: 'Don’t allow' }).click();
  const answer = await told(page);
  assert.equal(answer.get('error'), 'access_denied');
  assert.equal(answer.get('state'), 'a state');
});

await test('what is allowed is remembered, shown, and taken back', async (page) => {
  await logIn(page);
  await at(page, '/login/account');
  await page.goto(ask());
  await at(page, '/login/consent');
  await page.getByLabel(/Pay/).uncheck();
  await page.getByRole('button', { name: 'Allow', exact: true }).click();
  assert.ok((await told(page)).get('code'));
  await page.goto('/login/account/consents');
  const text = await page.textContent('main');
  assert.ok(text.includes('web') && !/Pay/.test(text), text);
  await page.getByRole('button', { name: 'Take back: web' }).click();
  await page.getByText('You have allowed no application anything.').waitFor();
  await page.goto(ask());
  await at(page, '/login/consent');
});

await test('nobody is sent to a place that is not registered', async (page) => {
  await page.goto(ask({ redirect_uri: `${callback.origin}/elsewhere` }));
  assert.equal(new URL(page.url()).pathname, '/oauth2/authorize');
  await page.getByRole('heading', { name: 'That did not work' }).waitFor();
});

application.close();
application.closeAllConnections();
await done();
