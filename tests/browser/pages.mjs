// What holds for every page: narrow windows, labels, contrast by day and by night.
import assert from 'node:assert/strict';
import { at, done, logIn, test } from './_kit.mjs';

const OPEN = ['/login', '/login/nothing-of-the-kind', '/login/mfa'];
const OWN = [
  '/login/account',
  '/login/account/sessions',
  '/login/account/mfa',
  '/login/account/passkeys',
  '/login/account/password',
  '/login/account/consents',
  '/login/out',
];

/** Shows each page in turn. */
async function each(page, check) {
  for (const path of OPEN) {
    await page.goto(path);
    await check(path);
  }
  await logIn(page);
  await at(page, '/login/account');
  for (const path of OWN) {
    await page.goto(path);
    await check(path);
  }
}

await test(
  'nothing has to be scrolled sideways in a narrow window',
  async (page) => {
    await each(page, async (path) => {
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 320, `${path} is ${width} wide`);
    });
  },
  { viewport: { width: 320, height: 640 } },
);

await test('every field has a name, and every page one heading', async (page) => {
  await each(page, async (path) => {
    const unnamed = await page.evaluate(() =>
      [...document.querySelectorAll('input:not([type=hidden]), button, a')]
        .filter((one) => one.checkVisibility())
        .filter((one) => !(one.labels?.length || one.textContent.trim() || one.ariaLabel))
        .map((one) => one.outerHTML),
    );
    assert.deepEqual(unnamed, [], path);
    assert.equal(await page.locator('h1').count(), 1, path);
    assert.equal(await page.locator('main').count(), 1, path);
  });
});

for (const colorScheme of ['light', 'dark']) {
  await test(
    `texts can be told from what is behind them when it is ${colorScheme}`,
    async (page) => {
      await each(page, async (path) => {
        const faint = await page.evaluate(() => {
          const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
          const luminance = ([red, green, blue]) => {
            const part = (channel) => {
              const share = channel / 255;
              return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
            };
            return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
          };
          const behind = (element) => {
            for (let one = element; one; one = one.parentElement) {
              const colour = channels(getComputedStyle(one).backgroundColor);
              if (colour.length < 4 || colour[3] === 1) return colour;
            }
            return [255, 255, 255];
          };
          return [...document.querySelectorAll('body *')]
            .filter((one) => one.checkVisibility())
            .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
            .map((one) => {
              const [text, ground] = [channels(getComputedStyle(one).color), behind(one)].map(luminance);
              const ratio = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
              return { text: one.textContent.trim(), ratio };
            })
            .filter(({ ratio }) => ratio < 4.5);
        });
        assert.deepEqual(faint, [], path);
      });
    },
    { colorScheme },
  );
}

await done();
