// What every script needs: cases, one line each; a browser that is nothing but HTTP; the codes of
// second factors. What is not given in a variable fails at once.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';

function given(name) {
  const value = process.env[name];
  assert.ok(value, `${name} is not set: these scripts are run by ./dev test clients`);
  return value;
}

/** The issuer, which is the gateway's address too. */
export const BASE = given('BASE');
/** Where the clients' codes are sent; nobody listens there, and nobody has to. */
export const REDIRECT_URI = given('REDIRECT_URI');
/** Ids and secrets of the clients that were made for these scripts, by name. */
export const CLIENTS = JSON.parse(given('CLIENTS'));
/** Somebody who may log in. `secret` is the second factor's, as soon as there is one. */
export const PERSON = { email: given('EMAIL'), password: given('PASSWORD'), secret: undefined, step: 0 };

/** The key that the client `key` proves itself by. Everybody can read it: it is of no use elsewhere. */
export async function assertionKey() {
  const jwk = JSON.parse(readFileSync(new URL('key.json', import.meta.url), 'utf8'));
  const kind = { name: 'ECDSA', namedCurve: 'P-256' };
  const key = await crypto.subtle.importKey('jwk', jwk, kind, false, ['sign']);
  return { key, kid: jwk.kid };
}

/** Runs one case; the first one that fails ends the script. With `CASE`, those alone that hold it. */
export async function test(name, run) {
  if (!name.includes(process.env.CASE ?? '')) return;
  try {
    await run();
    console.log(`ok      ${name}`);
  } catch (error) {
    console.log(`FAILED  ${name}\n${inspect(error, { depth: 6 })}`);
    process.exit(1);
  }
}

/** A browser without scripts: it keeps cookies, follows redirects and sends forms. */
export class Browser {
  #cookies = new Map();

  /** Goes on from an address, as a person, until it leads to `end`; returns that address. */
  async until(start, end, person, choices = {}) {
    let page = await this.#get(new URL(start));
    for (let steps = 0; steps < 30; steps += 1) {
      if (page.location !== undefined) {
        const next = new URL(page.location, page.url);
        if (next.href.startsWith(end)) return next;
        assert.equal(next.origin, BASE, `led away: ${next.href}`);
        page = await this.#get(next);
        continue;
      }
      assert.equal(page.status, 200, `${page.url.href}: ${page.status}\n${page.text}`);
      page = await this.#answer(page, person, choices);
    }
    assert.fail('thirty steps, and no end');
  }

  /** What a person does on a device's page; returns the page behind it. */
  async allowDevice(start, userCode, person) {
    let page = await this.#get(new URL(start));
    for (let steps = 0; steps < 30; steps += 1) {
      if (page.location !== undefined) {
        page = await this.#get(new URL(page.location, page.url));
        continue;
      }
      assert.equal(page.status, 200, `${page.url.href}: ${page.status}\n${page.text}`);
      const form = formOf(page.text);
      if (form === undefined) return page.text;
      if (form.fields.has('user_code') && !form.buttons.includes('decision')) {
        form.fields.set('user_code', userCode);
        page = await this.#send(page, form);
      } else {
        if (form.buttons.includes('decision') && form.fields.has('user_code')) {
          assert.ok(page.text.includes(userCode), 'the page does not show the code');
        }
        page = await this.#answer(page, person, {});
      }
    }
    assert.fail('thirty steps, and no end');
  }

  async #answer(page, person, choices) {
    const form = formOf(page.text);
    if (form === undefined) {
      const link = /<a class="button" href="([^"]*)">/.exec(page.text);
      assert.ok(link, `a page that leads nowhere:\n${page.text}`);
      return this.#get(new URL(unescaped(link[1]), page.url));
    }
    const { fields, buttons } = form;
    if (fields.has('email') && fields.has('password')) {
      fields.set('email', person.email);
      fields.set('password', person.password);
    } else if (fields.has('code')) {
      const shown = /<p class="code">([^<]*)<\/p>/.exec(page.text);
      if (shown) person.secret = unescaped(shown[1]);
      assert.ok(person.secret, 'a second factor is asked for, and there is none');
      fields.set('code', await nextCode(person));
    }
    if (buttons.includes('decision')) fields.set('decision', choices.decision ?? 'allow');
    return this.#send(page, form);
  }

  async #get(url) {
    return this.#fetch(url, { method: 'GET' });
  }

  async #send(page, form) {
    const body = new URLSearchParams([...form.fields]).toString();
    const headers = { 'content-type': 'application/x-www-form-urlencoded', origin: BASE };
    return this.#fetch(new URL(form.action, page.url), { method: 'POST', headers, body });
  }

  async #fetch(url, init) {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { accept: 'text/html', ...init.headers, ...(cookie && { cookie }) };
    const response = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) this.#keep(line);
    const location = response.headers.get('location') ?? undefined;
    if (location !== undefined) {
      const expected = init.method === 'POST' ? [303] : [302, 303];
      assert.ok(expected.includes(response.status), `${url.href}: ${response.status}`);
    }
    return { url, status: response.status, location, text: await response.text() };
  }

  #keep(line) {
    const [, name, value] = /^([^=;]+)=([^;]*)/.exec(line);
    if (/;\s*max-age=0\s*(;|$)/i.test(line)) this.#cookies.delete(name);
    else this.#cookies.set(name, value);
  }
}

/** The form of a page, where it has one. Our pages are made by templates that quote everything. */
function formOf(html) {
  const form = /<form method="post" action="([^"]*)">([\s\S]*?)<\/form>/.exec(html);
  if (!form) return undefined;
  const attribute = (tag, name) => {
    const found = new RegExp(`\\s${name}="([^"]*)"`).exec(tag);
    return found ? unescaped(found[1]) : undefined;
  };
  const fields = new Map();
  for (const [tag] of form[2].matchAll(/<input\b[^>]*>/g)) {
    const isUnchecked = attribute(tag, 'type') === 'checkbox' && !/\schecked\b/.test(tag);
    if (!isUnchecked) fields.set(attribute(tag, 'name'), attribute(tag, 'value') ?? '');
  }
  const buttons = [...form[2].matchAll(/<button\b[^>]*>/g)].map(([tag]) => attribute(tag, 'name'));
  return { action: unescaped(form[1]), fields, buttons: buttons.filter(Boolean) };
}

function unescaped(text) {
  const named = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return text.replace(/&(#x?[0-9a-f]+|[a-z]+);/gi, (whole, name) => {
    if (name.startsWith('#x')) return String.fromCodePoint(Number.parseInt(name.slice(2), 16));
    if (name.startsWith('#')) return String.fromCodePoint(Number(name.slice(1)));
    return named[name] ?? whole;
  });
}

/** The next code of a second factor (RFC 6238): each moment's is good once. */
async function nextCode(person) {
  const now = () => Math.floor(Date.now() / 30_000);
  const step = Math.max(now(), person.step + 1);
  // The server takes the code of the next half minute too, and no later one.
  while (step > now() + 1) await new Promise((done) => setTimeout(done, 200));
  person.step = step;
  return code(person.secret, step);
}

export function code(secret, step) {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', base32(secret)).update(counter).digest();
  const offset = mac[19] & 0x0f;
  const number = mac.readUInt32BE(offset) & 0x7fff_ffff;
  return String(number % 1_000_000).padStart(6, '0');
}

function base32(text) {
  const letters = text.replace(/[\s=-]/g, '').toUpperCase();
  const bits = [...letters].map((letter) => {
    const value = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter);
    assert.ok(value >= 0, `no base32: ${letter}`);
    return value.toString(2).padStart(5, '0');
  });
  const bytes = bits.join('').match(/.{8}/g) ?? [];
  return Buffer.from(bytes.map((byte) => Number.parseInt(byte, 2)));
}
