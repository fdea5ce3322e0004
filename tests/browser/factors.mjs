// A second factor: set up on the account's page, asked for, recovered from, taken away.
import assert from 'node:assert/strict';
import { at, done, logIn, test, totp } from './_kit.mjs';

let secret;
let codes = [];

await test('an authenticator app is set up, and recovery codes are shown once', async (page) => {
  await logIn(page);
  await at(page, '/login/account');
  await page.goto('/login/account/mfa');
  await page.getByRole('button', { name: 'Set up an authenticator app' }).click();
  await page.getByRole('img', { name: /QR code/ }).waitFor();
  secret = await page.textContent('p.code');
  await page.getByRole('textbox', { name: 'Code' }).fill('000000');
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('alert').waitFor();
  assert.equal(await page.getByRole('img', { name: /QR code/ }).count(), 0, 'a key is shown once');
  await page.getByRole('textbox', { name: 'Code' }).fill(totp(secret));
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('heading', { name: 'Your recovery codes' }).waitFor();
  codes = await page.locator('ul.code li').allTextContents();
  assert.equal(codes.length, 10);
  await page.getByRole('link', { name: 'I have kept them' }).click();
  await at(page, '/login/account/mfa');
  const text = await page.textContent('main');
  assert.ok(text.includes('10 recovery codes') && !text.includes(codes[0]));
});

await test('a password is not enough any more', async (page) => {
  await logIn(page, '/login?return_to=%2flogin%2faccount%2fsessions');
  await at(page, '/login/mfa');
  await page.getByRole('textbox', { name: 'Code' }).fill('000000');
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('alert').waitFor();
  // The step of now was used when it was set up.
  await page.getByRole('textbox', { name: 'Code' }).fill(totp(secret, 1));
  await page.getByRole('button', { name: 'Continue' }).click();
  await at(page, '/login/account/sessions');
});

await test('a recovery code stands in for the app, and both can be given up', async (page) => {
  await logIn(page);
  await at(page, '/login/mfa');
  await page.getByRole('textbox', { name: 'Code' }).fill(codes[0].toLowerCase());
  await page.getByRole('button', { name: 'Continue' }).click();
  await at(page, '/login/account');
  await page.goto('/login/account/mfa');
  assert.ok((await page.textContent('main')).includes('9 recovery codes'));
  await page.getByRole('button', { name: 'Remove: Authenticator app' }).click();
  await page.getByText('Nothing is set up').waitFor();
});

await test('nobody is asked for a second factor who has none', async (page) => {
  await logIn(page);
  await at(page, '/login/account');
});

await done();
