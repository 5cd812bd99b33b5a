// A customer and a member of staff, with the client that openapi-ts generates.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import { createClient } from "./client/client";
import type { Order, Product } from "./client";
import * as shop from "./client";

const SETTLE_BOUND_MS = 30_000;

function env(name: string): string {
  const value = process.env[name];
  assert(value, `${name} is not set`);
  return value;
}

const baseUrl = env("SHOP_URL");
const anonymous = createClient({ baseUrl });

async function signedIn(email: string, password: string) {
  const { data, error } = await shop.login({ client: anonymous, body: { email, password } });
  assert(data, JSON.stringify(error));
  assert.equal(data.token_type, "Bearer");
  return createClient({ baseUrl, auth: data.access_token });
}

/** Every product, page by page. */
async function catalogue(): Promise<Product[]> {
  const products: Product[] = [];
  let cursor: string | undefined;
  do {
    const query = { limit: 10, sort: "price", ...(cursor ? { cursor } : {}) } as const;
    const { data, error } = await shop.listProducts({ client: anonymous, query });
    assert(data, JSON.stringify(error));
    products.push(...data.items);
    cursor = data.next_cursor ?? undefined;
  } while (cursor);
  return products;
}

async function main(): Promise<void> {
  const email = `${randomUUID()}@typescript.test`;
  const password = "a typed and tested password";
  const registered = await shop.register({ client: anonymous, body: { email, password, display_name: "Grace" } });
  assert.equal(registered.response.status, 201);
  assert.equal(registered.data?.role, "customer");
  const customer = await signedIn(email, password);

  const products = await catalogue();
  assert(products.length >= 20, `only ${products.length} products`);
  assert.deepEqual(products, [...products].sort((a, b) => a.price.amount - b.price.amount));
  const product = products[0];
  assert(product);
  const shown = await shop.getProduct({ client: anonymous, path: { product: product.slug } });
  assert.deepEqual(shown.data, product);
  const etag = shown.response.headers.get("etag");
  assert(etag);
  const held = await shop.getProduct({
    client: anonymous,
    path: { product: product.id },
    headers: { "If-None-Match": etag },
  });
  assert.equal(held.response.status, 304);

  // A refusal is typed as well.
  const refused = await shop.createOrder({
    client: customer,
    headers: { "Idempotency-Key": randomUUID() },
    body: { items: [{ product_id: product.id, quantity: 0 }], shipping_address: address },
  });
  assert.equal(refused.response.status, 400);
  assert.equal(refused.error?.code, "VALIDATION_FAILED");

  const order = await placed(customer, product);
  const reserved = await settled(customer, order.id);
  assert.equal(reserved.status, "reserved");
  assert.equal(reserved.total?.amount, 2 * product.price.amount);
  assert(reserved.expires_at);

  const staff = await signedIn(env("SHOP_ADMIN_EMAIL"), env("SHOP_ADMIN_PASSWORD"));
  const payment = { reference: `bank-${order.id}`, amount: reserved.total };
  const notAllowed = await shop.recordPayment({ client: customer, path: { order_id: order.id }, body: payment });
  assert.equal(notAllowed.error?.code, "FORBIDDEN");
  const paid = await shop.recordPayment({ client: staff, path: { order_id: order.id }, body: payment });
  assert.equal(paid.response.status, 201, JSON.stringify(paid.error));

  const history = await shop.listOrderHistory({ client: customer, path: { order_id: order.id } });
  assert.deepEqual(history.data?.items.map((entry) => entry.to), ["pending", "reserved", "paid"]);
  console.log(`bought ${product.name} for ${reserved.total.amount} ${reserved.total.currency}`);
}

const address = {
  recipient: "Grace Hopper",
  line1: "1 Navy Yard",
  city: "Arlington",
  postal_code: "22202",
  country: "US",
};

/** Placed, and placed again under the same key, which is the same order. */
async function placed(customer: ReturnType<typeof createClient>, product: Product): Promise<Order> {
  const request = {
    client: customer,
    headers: { "Idempotency-Key": randomUUID() },
    body: { items: [{ product_id: product.id, quantity: 2 }], shipping_address: address },
  };
  const first = await shop.createOrder(request);
  assert.equal(first.response.status, 201, JSON.stringify(first.error));
  const again = await shop.createOrder(request);
  assert.equal(again.response.headers.get("idempotency-replayed"), "true");
  assert(first.data && again.data?.id === first.data.id);
  return first.data;
}

async function settled(customer: ReturnType<typeof createClient>, id: string): Promise<Order> {
  const end = Date.now() + SETTLE_BOUND_MS;
  for (;;) {
    const { data, error } = await shop.getOrder({ client: customer, path: { order_id: id } });
    assert(data, JSON.stringify(error));
    if (data.status !== "pending") {
      return data;
    }
    assert(Date.now() < end, `still ${data.status}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
