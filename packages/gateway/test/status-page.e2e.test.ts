// The page at `/` in a real Chromium: readable at both widths, in light and dark, without script, with the keyboard.
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Harness } from './harness.ts';

const CHROMIUM = '/usr/bin/chromium';
// Named as not run by scripts/test.mjs, never counted as passed.
const browserIsThere = existsSync(CHROMIUM);

describe.runIf(browserIsThere)('the status page', () => {
  let harness: Harness;
  let browser: Browser;

  beforeAll(async () => {
    harness = await Harness.open();
    await harness.record('a-server-with-quite-a-long-name-to-show', { tools: [] });
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
    });
  });
  afterAll(async () => {
    await browser?.close();
    await harness?.close();
  });

  it.each([
    [1280, 'light'],
    [1280, 'dark'],
    [390, 'light'],
    [390, 'dark'],
  ] as const)('[UI-PAGE] at %i px in %s: nothing is cut off, contrast holds', async (width, colorScheme) => {
    const page = await browser.newPage({ viewport: { width, height: 844 }, colorScheme });
    const errors: string[] = [];
    page.on('console', (message) => errors.push(message.text()));
    page.on('pageerror', (error) => errors.push(error.message));
    const response = await page.goto(harness.base);
    expect(response?.status()).toBe(200);
    expect(await page.title()).toBe('Gatehouse');
    expect(await page.getByText('ready', { exact: true }).isVisible()).toBe(true);
    expect(await page.getByRole('cell', { name: /\/mcp\/a-server-with/ }).isVisible()).toBe(true);
    const [scroll, client] = await page.evaluate<[number, number]>(
      '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
    );
    expect(scroll).toBeLessThanOrEqual(client);
    for (const selector of ['p', '.quiet', '.state', 'td', 'a'])
      expect(await contrast(page, selector)).toBeGreaterThan(4.5);
    expect(errors).toEqual([]);
    await page.close();
  });

  it('[UI-PAGE] all links are reached with the keyboard', async () => {
    const page = await browser.newPage();
    await page.goto(harness.base);
    const reached: string[] = [];
    for (let press = 0; press < 3; press++) {
      await page.keyboard.press('Tab');
      reached.push(await page.evaluate<string>("document.activeElement.getAttribute('href')"));
    }
    expect(reached).toEqual(['/api/v1/openapi.json', '/healthz', '/readyz']);
    await page.close();
  });
});

/** Contrast of the first match against the page or the card that it stands on (WCAG 2.2, 1.4.3). */
async function contrast(page: Awaited<ReturnType<Browser['newPage']>>, selector: string): Promise<number> {
  const [front, back] = await page.evaluate<[string, string]>(`(() => {
    const element = document.querySelector(${JSON.stringify(selector)});
    let holder = element;
    while (holder && getComputedStyle(holder).backgroundColor === 'rgba(0, 0, 0, 0)') holder = holder.parentElement;
    return [getComputedStyle(element).color, getComputedStyle(holder ?? document.body).backgroundColor];
  })()`);
  const [high, low] = [luminance(front), luminance(back)].sort((a, b) => b - a) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

function luminance(colour: string): number {
  const [red, green, blue] = (colour.match(/\d+/g) ?? []).slice(0, 3).map((part) => {
    const value = Number(part) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
