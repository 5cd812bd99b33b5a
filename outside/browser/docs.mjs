// Opens the documentation page of the shop at SHOP_URL in Chromium, as a person would: it shows every operation of the
// OpenAPI document, "Try it out" works, nothing is asked of any other host, and the browser has nothing to complain about.
// SCREENSHOT names a file to write a picture of the page to.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { chromium } = createRequire(`${process.env.OUTSIDE_NODE}/`)("playwright-core");
const shop = process.env.SHOP_URL;
const BOUND_MS = 60_000;

const complaints = [];
const asked = new Set();

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  // Its sandbox needs privileges that a container or root does not have; it meets nothing but our own page.
  chromiumSandbox: false,
  args: ["--disable-background-networking", "--disable-component-update"],
});
try {
  const context = await browser.newContext({ viewport: { width: 1100, height: 900 } });
  context.setDefaultTimeout(BOUND_MS);
  // Told to the page's own script, since violations of the content security policy are events of the document.
  await context.exposeFunction("complain", (text) => complaints.push(text));
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      globalThis.complain(`policy: ${event.violatedDirective} ${event.blockedURI}`),
    );
  });
  const page = await context.newPage();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`script: ${error}`));
  page.on("requestfailed", (request) => complaints.push(`request: ${request.url()} ${request.failure()?.errorText}`));
  page.on("request", (request) => asked.add(new URL(request.url()).origin));

  await page.goto(`${shop}/docs`);
  await page.locator(".opblock").first().waitFor();
  await everyOperationIsListed(page);
  const operation = await anOperationCanBeTried(page);
  if (process.env.SCREENSHOT) {
    await operation.evaluate((element) => element.scrollIntoView());
    await page.screenshot({ path: process.env.SCREENSHOT });
  }
  await context.close();
} finally {
  await browser.close();
}

asked.delete("null"); // data: URLs, which are no requests
assert.deepEqual([...asked], [shop], "something other than the shop was asked");
assert.deepEqual(complaints, [], "the browser complains");
console.log("the documentation page works, offline");

async function everyOperationIsListed(page) {
  const document = await (await fetch(`${shop}/openapi.json`)).json();
  const methods = ["get", "put", "post", "delete", "patch", "head", "options", "trace"];
  const described = Object.entries(document.paths).flatMap(([path, item]) =>
    methods.filter((method) => item[method]).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert(described.length > 30, `only ${described.length} operations are described`);
  const shown = await page.locator(".opblock").evaluateAll((blocks) =>
    blocks.map((block) => {
      const method = block.querySelector(".opblock-summary-method").textContent.trim();
      return `${method} ${block.querySelector(".opblock-summary-path").dataset.path}`;
    }),
  );
  assert.deepEqual(shown.sort(), described.sort());
  assert.equal((await page.locator(".info .title").textContent()).includes(document.info.title), true);
}

async function anOperationCanBeTried(page) {
  const operation = page.locator(".opblock", { has: page.locator('[data-path="/api/v1/products"]') }).filter({
    has: page.locator(".opblock-summary-method", { hasText: /^GET$/ }),
  });
  await operation.locator(".opblock-summary-control").click();
  await operation.getByRole("button", { name: "Try it out" }).click();
  await operation.locator('tr[data-param-name="limit"] input').fill("3");
  await operation.getByRole("button", { name: "Execute" }).click();
  const answer = operation.locator(".live-responses-table .response");
  await answer.waitFor();
  assert.equal((await answer.locator(".response-col_status").textContent()).trim().slice(0, 3), "200");
  const body = JSON.parse(await answer.locator(".highlight-code code").first().textContent());
  assert.equal(body.items.length, 3);
  return operation;
}
