// What every script for a browser needs: Chromium, cases of one line each, somebody who logs in.
// What is not given in a variable fails at once: ./dev test clients gives all of it.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import { chromium } from 'playwright-core';

function given(name) {
  const value = process.env[name];
  assert.ok(value, `${name} is not set: these scripts are run by ./dev test clients`);
  return value;
}

/** The gateway's address, which is the issuer too. */
export const BASE = given('BASE');
/** Somebody who may log in. */
export const EMAIL = given('EMAIL');
export const PASSWORD = given('PASSWORD');

const browser = await chromium.launch({
  executablePath: given('CHROMIUM'),
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});

/**
 * Runs one case in a browser of its own; the first one that fails ends the script. No page may do
 * what its policy forbids, and no script of ours may fail.
 */
export async function test(name, run, options = {}) {
  if (!name.includes(process.env.CASE ?? '')) return;
  const context = await browser.newContext({ baseURL: BASE, locale: 'en', ...options });
  context.setDefaultTimeout(15_000);
  const wrong = [];
  context.on('console', (message) => {
    if (/content security policy|refused to/i.test(message.text())) wrong.push(message.text());
  });
  context.on('weberror', (error) => wrong.push(String(error.error())));
  const page = await context.newPage();
  try {
    await run(page, context);
    assert.deepEqual(wrong, []);
    console.log(`ok      ${name}`);
  } catch (error) {
    console.log(`FAILED  ${name}\n${inspect(error, { depth: 6 })}\nat ${page.url()}`);
    if (process.env.OUT) {
      const file = `${process.env.OUT}/${name.replace(/[^a-z0-9]+/gi, '-')}.png`;
      await page.screenshot({ path: file, fullPage: true }).catch(() => {});
    }
    await browser.close();
    process.exit(1);
  }
  await context.close();
}

/** Ends the script. */
export async function done() {
  await browser.close();
}

/** Fills in the first page of a log-in. */
export async function credentials(page, password = PASSWORD) {
  await page.getByLabel('E-mail').fill(EMAIL);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

/** Logs in by the password. */
export async function logIn(page, target = '/login') {
  await page.goto(target);
  await credentials(page);
}

/** Waits until the page of a path is there. */
export async function at(page, path) {
  await page.waitForURL((url) => url.pathname === path);
}

/** The code of a second factor, `steps` away from now. */
export function totp(secret, steps = 0) {
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const letters = secret.replace(/\s/g, '').toUpperCase();
  const bits = [...letters].map((letter) => digits.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const seed = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const tag = createHmac('sha1', seed).update(step).digest();
  const offset = tag.at(-1) & 15;
  return String((tag.readUInt32BE(offset) & 0x7fff_ffff) % 1_000_000).padStart(6, '0');
}
