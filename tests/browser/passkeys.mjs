// Passkeys, with an authenticator of Chromium's own: made, used, refused, taken away.
import assert from 'node:assert/strict';
import { at, done, logIn, test } from './_kit.mjs';

const SIGN_IN = 'Sign in with a passkey';

/**
 * An authenticator in the browser that a page is in. It answers at once: what a browser offers
 * beside the e-mail by itself is turned off, so that the button is what signs somebody in.
 */
async function authenticator(page, context) {
  await page.addInitScript(() => {
    PublicKeyCredential.isConditionalMediationAvailable = async () => false;
  });
  const session = await context.newCDPSession(page);
  await session.send('WebAuthn.enable');
  const options = {
    protocol: 'ctap2',
    transport: 'internal',
    hasResidentKey: true,
    hasUserVerification: true,
    isUserVerified: true,
    automaticPresenceSimulation: true,
  };
  const { authenticatorId } = await session.send('WebAuthn.addVirtualAuthenticator', { options });
  const send = (method, more) => session.send(`WebAuthn.${method}`, { authenticatorId, ...more });
  return {
    verified: (isUserVerified) => send('setUserVerified', { isUserVerified }),
    count: async () => (await send('getCredentials')).credentials.length,
  };
}

/** Makes a passkey for somebody who logs in by the password. */
async function made(page, context, name) {
  const device = await authenticator(page, context);
  await logIn(page);
  await at(page, '/login/account');
  await page.goto('/login/account/passkeys');
  await page.getByLabel('Name of the new passkey').fill(name);
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await page.getByRole('button', { name: `Remove: ${name}` }).waitFor();
  assert.equal(await device.count(), 1);
  return device;
}

/** Takes the passkey away, so that the next case begins as this one did. */
async function remove(page, name) {
  await page.goto('/login/account/passkeys');
  await page.getByRole('button', { name: `Remove: ${name}` }).click();
  await page.getByText('You have no passkey yet.').waitFor();
}

await test('a passkey signs in without a name or a password', async (page, context) => {
  await made(page, context, 'Laptop');
  await context.clearCookies();
  await page.goto('/login?return_to=%2flogin%2faccount%2fsessions');
  assert.match(await page.getAttribute('#email', 'autocomplete'), /\bwebauthn$/);
  await page.getByRole('button', { name: SIGN_IN }).click();
  await at(page, '/login/account/sessions');
  await remove(page, 'Laptop');
});

await test('behind a password it is the second step', async (page, context) => {
  await made(page, context, 'Key');
  await context.clearCookies();
  await logIn(page);
  await at(page, '/login/mfa');
  assert.equal(await page.getByRole('textbox', { name: 'Code' }).count(), 0, 'there is no code to enter');
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await at(page, '/login/account');
  await remove(page, 'Key');
});

await test('nobody gets in whom the authenticator does not know', async (page, context) => {
  const device = await made(page, context, 'Phone');
  const cookies = await context.cookies();
  await context.clearCookies();
  await device.verified(false);
  await page.goto('/login');
  await page.getByRole('button', { name: SIGN_IN }).click();
  await page.getByRole('alert').waitFor();
  await page.goto('/login/account');
  await at(page, '/login');
  await context.addCookies(cookies);
  await remove(page, 'Phone');
});

await test('one that was taken away signs nobody in', async (page, context) => {
  const device = await made(page, context, 'Old');
  await remove(page, 'Old');
  await context.clearCookies();
  await page.goto('/login');
  await page.getByRole('button', { name: SIGN_IN }).click();
  await page.getByRole('alert').waitFor();
  assert.equal(await device.count(), 1, 'the authenticator still has it');
});

await test('a browser that knows no passkeys is offered none', async (page) => {
  await page.addInitScript(() => delete window.PublicKeyCredential);
  await logIn(page);
  await at(page, '/login/account');
  await page.goto('/login/account/passkeys');
  assert.equal(await page.getByRole('button', { name: 'Add a passkey' }).count(), 0);
  assert.ok((await page.textContent('main')).includes('Passkeys need a browser'));
  await page.goto('/login');
  assert.equal(await page.getByRole('button', { name: SIGN_IN }).count(), 0);
});

await done();
