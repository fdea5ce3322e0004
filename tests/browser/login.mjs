// Logging in and out: with a mouse, by keyboard alone, without JavaScript, in each language.
import assert from 'node:assert/strict';
import { EMAIL, PASSWORD, at, credentials, done, logIn, test } from './_kit.mjs';

await test('a password opens the account, and signing out closes it', async (page) => {
  await logIn(page);
  await at(page, '/login/account');
  assert.ok((await page.textContent('main')).includes(EMAIL));
  await page.getByRole('link', { name: 'Sign out' }).click();
  await at(page, '/login/out');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
  await page.goto('/login/account');
  await at(page, '/login');
});

await test('a wrong password is told, and the right one still opens', async (page) => {
  await page.goto('/login?return_to=%2flogin%2faccount%2fsessions');
  await credentials(page, 'not the password at all');
  const alert = page.getByRole('alert');
  assert.equal(await alert.textContent(), 'E-mail or password is wrong.');
  assert.equal(await page.getByLabel('Password', { exact: true }).inputValue(), '');
  assert.equal(await page.getByLabel('E-mail').inputValue(), EMAIL);
  await credentials(page);
  await at(page, '/login/account/sessions');
});

await test(
  'without JavaScript everything works but passkeys',
  async (page) => {
    await page.goto('/login');
    assert.equal(await page.locator('#passkey').isVisible(), false);
    await credentials(page);
    await at(page, '/login/account');
    for (const path of ['sessions', 'mfa', 'password', 'consents', 'passkeys']) {
      await page.goto(`/login/account/${path}`);
      assert.equal(await page.locator('h1').count(), 1, path);
    }
    assert.equal(await page.locator('#passkey').isVisible(), false);
    assert.ok((await page.textContent('main')).includes('JavaScript'), 'it says what is missing');
    await page.goto('/login/account/mfa');
    await page.getByRole('button', { name: 'Set up an authenticator app' }).click();
    await page.getByRole('img', { name: /QR code/ }).waitFor();
    await page.goto('/login/account/sessions');
    await page.getByRole('button', { name: 'Sign out everywhere', exact: true }).click();
    await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
  },
  { javaScriptEnabled: false },
);

await test('the keyboard is enough, and shows where it is', async (page) => {
  await page.goto('/login');
  const focused = () => page.evaluate(() => document.activeElement.id);
  const reach = async (id) => {
    for (let presses = 0; presses < 20 && (await focused()) !== id; presses += 1) {
      await page.keyboard.press('Tab');
    }
    assert.equal(await focused(), id);
    const outline = await page.evaluate(() => {
      const style = getComputedStyle(document.activeElement);
      return [style.outlineStyle, Number.parseFloat(style.outlineWidth)];
    });
    assert.ok(outline[0] !== 'none' && outline[1] >= 2, `${id}: ${outline}`);
  };
  await reach('email');
  await page.keyboard.type(EMAIL);
  await reach('password');
  await page.keyboard.type(PASSWORD);
  await reach('remember');
  await page.keyboard.press('Space');
  assert.equal(await page.getByLabel(/Keep me signed in/).isChecked(), true);
  await page.keyboard.press('Enter');
  await at(page, '/login/account');
});

const HEADINGS = { en: 'Sign in', de: 'Anmelden', fr: 'Se connecter', es: 'Iniciar sesión' };
for (const [locale, heading] of Object.entries(HEADINGS)) {
  await test(
    `pages speak ${locale}`,
    async (page) => {
      await page.goto('/login');
      assert.equal(await page.getAttribute('html', 'lang'), locale);
      assert.equal(await page.textContent('h1'), heading);
    },
    { locale },
  );
}

await test('another password signs other browsers out', async (page, context) => {
  await logIn(page);
  await at(page, '/login/account');
  const cookies = await context.cookies();
  await context.clearCookies();
  await logIn(page);
  await at(page, '/login/account');
  const change = async (current, next) => {
    await page.goto('/login/account/password');
    await page.getByLabel('Current password').fill(current);
    await page.getByLabel('New password', { exact: true }).fill(next);
    await page.getByLabel('Repeat the new password').fill(next);
    await page.getByRole('button', { name: 'Save the password' }).click();
    await page.getByRole('status').waitFor();
  };
  await change(PASSWORD, 'quite another horse');
  // For the scripts that follow.
  await change('quite another horse', PASSWORD);
  await context.clearCookies();
  await context.addCookies(cookies);
  await page.goto('/login/account');
  await at(page, '/login');
});

await done();
