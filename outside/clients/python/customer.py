"""A customer and a member of staff, with the client that openapi-python-client generates."""

import os
import time
import uuid
from http import HTTPStatus

from shop_client import AuthenticatedClient, Client
from shop_client.api.auth import login, register
from shop_client.api.orders import create_order, get_order, list_order_history
from shop_client.api.payments import record_payment
from shop_client.api.products import get_product, list_products
from shop_client.models import (
    Credentials,
    ListProductsSort,
    Money,
    NewOrder,
    NewOrderItem,
    NewPayment,
    NewUser,
    Order,
    OrderStatus,
    PostalAddress,
    Role,
)

SETTLE_BOUND_SECONDS = 30
URL = os.environ["SHOP_URL"]
ANONYMOUS = Client(base_url=URL, raise_on_unexpected_status=True)
ADDRESS = PostalAddress(
    recipient="Alan Turing", line1="2 Warrington Crescent", city="London", postal_code="W9 1ER", country="GB"
)


def signed_in(email: str, password: str) -> AuthenticatedClient:
    tokens = login.sync(client=ANONYMOUS, body=Credentials(email=email, password=password))
    return AuthenticatedClient(base_url=URL, token=tokens.access_token, raise_on_unexpected_status=True)


def catalogue() -> list:
    """Every product, page by page."""
    products = []
    page = list_products.sync(client=ANONYMOUS, limit=10, sort=ListProductsSort.PRICE)
    products.extend(page.items)
    while page.next_cursor is not None:
        page = list_products.sync(client=ANONYMOUS, limit=10, sort=ListProductsSort.PRICE, cursor=page.next_cursor)
        products.extend(page.items)
    return products


def settled(client: AuthenticatedClient, order_id: str) -> Order:
    end = time.monotonic() + SETTLE_BOUND_SECONDS
    while True:
        order = get_order.sync(order_id, client=client)
        if order.status != OrderStatus.PENDING:
            return order
        assert time.monotonic() < end, f"still {order.status}"
        time.sleep(0.1)


def main() -> None:
    email, password = f"{uuid.uuid4()}@python.test", "a generated and tested password"
    user = register.sync(client=ANONYMOUS, body=NewUser(email=email, password=password, display_name="Alan"))
    assert user.role == Role.CUSTOMER, user
    customer = signed_in(email, password)

    products = catalogue()
    assert len(products) >= 20, f"only {len(products)} products"
    assert products == sorted(products, key=lambda product: product.price.amount)
    product = products[0]
    shown = get_product.sync(product.slug, client=ANONYMOUS)
    assert (shown.id, shown.name, shown.price) == (product.id, product.name, product.price), shown

    # A refusal is typed as well.
    def order_of(quantity: int) -> NewOrder:
        return NewOrder(items=[NewOrderItem(product_id=product.id, quantity=quantity)], shipping_address=ADDRESS)

    refused = create_order.sync_detailed(client=customer, body=order_of(0), idempotency_key=str(uuid.uuid4()))
    assert refused.status_code == HTTPStatus.BAD_REQUEST, refused
    assert refused.parsed.code == "VALIDATION_FAILED", refused.parsed

    key = str(uuid.uuid4())
    placed = create_order.sync_detailed(client=customer, body=order_of(2), idempotency_key=key)
    assert placed.status_code == HTTPStatus.CREATED, placed
    again = create_order.sync_detailed(client=customer, body=order_of(2), idempotency_key=key)
    assert again.headers["idempotency-replayed"] == "true" and again.parsed.id == placed.parsed.id
    order = settled(customer, placed.parsed.id)
    assert order.status == OrderStatus.RESERVED, order
    assert order.total.amount == 2 * product.price.amount

    staff = signed_in(os.environ["SHOP_ADMIN_EMAIL"], os.environ["SHOP_ADMIN_PASSWORD"])
    payment = NewPayment(
        reference=f"bank-{order.id}", amount=Money(amount=order.total.amount, currency=order.total.currency)
    )
    not_allowed = record_payment.sync_detailed(order.id, client=customer, body=payment)
    assert not_allowed.parsed.code == "FORBIDDEN", not_allowed
    paid = record_payment.sync_detailed(order.id, client=staff, body=payment)
    assert paid.status_code == HTTPStatus.CREATED, paid

    history = list_order_history.sync(order.id, client=customer)
    assert [entry.to for entry in history.items] == [OrderStatus.PENDING, OrderStatus.RESERVED, OrderStatus.PAID]
    print(f"bought {product.name} for {order.total.amount} {order.total.currency}")


main()
