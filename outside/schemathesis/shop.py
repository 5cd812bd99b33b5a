"""What the hooks need of a running shop: accounts, products and orders in the state an operation wants."""

import hashlib
import hmac
import itertools
import json
import os
import time
import uuid
from datetime import UTC, datetime

import requests

URL = os.environ["SHOP_URL"]
API = f"{URL}/api/v1"
PASSWORD = "schemathesis tries many things"
# Busy is not broken: a request of ours is repeated for so long.
PATIENCE_SECONDS = 60


class Account:
    """Someone who is signed in, or nobody."""

    def __init__(self, email: str | None = None, password: str = PASSWORD):
        self.email, self.password = email, password
        self.session = requests.Session()
        self.refresh_token = None
        if email is not None:
            tokens = self.ask("POST", "/auth/login", 200, {"email": email, "password": password})
            self.refresh_token = tokens["refresh_token"]
            self.authorization = f"Bearer {tokens['access_token']}"
            self.session.headers["Authorization"] = self.authorization

    def ask(self, method: str, path: str, status: int, body=None, headers=None) -> dict:
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = self.session.request(method, API + path, json=body, headers=headers, timeout=PATIENCE_SECONDS)
            if answer.status_code not in (429, 503) or time.monotonic() > end:
                break
            time.sleep(float(answer.headers.get("Retry-After", "1")))
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else {}


def fresh_key() -> dict:
    return {"Idempotency-Key": str(uuid.uuid4())}


class Shop:
    """Makes what is wanted, fresh each time, since operations use it up."""

    def __init__(self):
        self.admin = Account(os.environ["SHOP_ADMIN_EMAIL"], os.environ["SHOP_ADMIN_PASSWORD"])
        self.nobody = Account()
        self.numbers = itertools.count()
        self.accounts: dict[str, Account] = {}

    def unique(self) -> str:
        return f"{os.getpid()}-{next(self.numbers)}-{uuid.uuid4().hex[:8]}"

    def account(self, role: str) -> Account:
        """The account that a role's requests are made with."""
        if role == "anonymous":
            return self.nobody
        if role == "admin":
            return self.admin
        if role not in self.accounts:
            self.accounts[role] = self.new_account(role)
        return self.accounts[role]

    def new_account(self, role: str = "customer") -> Account:
        user = self.new_user()
        if role != "customer":
            self.admin.ask("PATCH", f"/users/{user['id']}", 200, {"role": role})
        return Account(user["email"])

    def new_user(self) -> dict:
        body = {"email": f"{self.unique()}@schemathesis.test", "password": PASSWORD, "display_name": "A User"}
        return self.nobody.ask("POST", "/auth/register", 201, body)

    def new_product(self) -> dict:
        name = f"product-{self.unique()}"
        price = {"amount": 1000, "currency": "USD"}
        body = {"sku": name, "slug": name, "name": name, "description": "", "price": price, "attributes": {}}
        product = self.admin.ask("POST", "/products", 201, body)
        stock = {"delta": 1000, "reason": "stock"}
        self.admin.ask("POST", f"/products/{product['id']}/inventory/adjustments", 201, stock, fresh_key())
        return product

    def new_category(self) -> dict:
        slug = f"category-{self.unique()}"
        return self.admin.ask("POST", "/categories", 201, {"slug": slug, "name": slug})

    def new_address(self, owner: Account) -> dict:
        return owner.ask("POST", "/users/me/addresses", 201, ADDRESS | {"label": "home"})

    def new_order(self, owner: Account, status: str) -> dict:
        """An order that has come as far as `status`."""
        body = {"items": [{"product_id": self.new_product()["id"], "quantity": 2}], "shipping_address": ADDRESS}
        order = owner.ask("POST", "/orders", 201, body, fresh_key())
        path = f"/orders/{order['id']}"
        if status == "cancelled":
            self.admin.ask("POST", f"{path}/cancel", 200, {})
        if status in ("paid", "shipped", "delivered"):
            self.admin.ask("POST", f"{path}/payments", 201, {"reference": self.unique(), "amount": order["total"]})
        if status in ("shipped", "delivered"):
            self.admin.ask("POST", f"{path}/ship", 200, {})
        return order


def payment_notice(order: dict) -> tuple[dict, str]:
    """A payment provider's notice, and the signature of its bytes as the client will send them."""
    notice = {
        "id": str(uuid.uuid4()),
        "order_id": order["id"],
        "reference": str(uuid.uuid4()),
        "amount": order["total"],
        "paid_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    at = int(time.time())
    signed = f"{at}.{json.dumps(notice)}".encode()
    secret = os.environ["SHOP_PAYMENT_WEBHOOK_SECRET"].encode()
    return notice, f"t={at},v1={hmac.new(secret, signed, hashlib.sha256).hexdigest()}"


ADDRESS = {
    "recipient": "Ada Lovelace",
    "line1": "12 St James's Square",
    "city": "London",
    "postal_code": "SW1Y 4JH",
    "country": "GB",
}
