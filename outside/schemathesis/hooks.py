"""Hooks of Schemathesis: valid requests meet things that are there, what a schema can't say is no finding, and each
operation's answers are counted.

Schemathesis makes the requests up. An id that it makes up is nobody's, so every other valid request of an operation gets
the id of something real, made for it in the state that it needs; the rest of the request stays as generated.
"""

import atexit
import json
import os
import re
from collections import Counter, defaultdict

import schemathesis

from shop import PASSWORD, Shop, fresh_key, payment_notice

ROLE = os.environ["ROLE"]
ANSWERS = os.environ["ANSWERS"]
SHOP = Shop()

# What valid input may be refused for although the schema does not say so: by code,
CODES = {"INVALID_CURSOR", "INVALID_SIGNATURE", "STALE_VERSION"}
# or by place and reason, since the reason is a relation, a list too long to state, or what JSON Schema can't tell apart.
REASONS = [
    (r"min_price", r"must not be more than max_price"),
    (r"/(new_)?password", r"is one of the first that anyone would try; choose another"),
    (r"/address_id", r"is not one of your addresses"),
    (r"/address_id", r"give a shipping_address or an address_id, not both"),
    (r"/shipping_address", r"is required, unless address_id is given"),
    (r"(/shipping_address)?/country", r"must be an ISO 3166-1 alpha-2 code, such as DE"),
    (r"(/price|/amount)?/currency", r"(must be|not an active) .*"),
    (r"/(parent_id|category_id)", r"is no category"),
    (r"/.*", r"(the name )?must not contain control characters"),
    # Blanks at the ends do not count.
    (r"/.*", r"(the name )?must not be empty"),
    (r"/amount/amount", r"must be at most \d+"),
    # Which Schemathesis takes from no schema when it tries the edges of headers that may be left out.
    (r"If-Match", r"must be one ETag of this resource, .*"),
    # 77.0 is an integer to JSON Schema; to the shop a number with a fraction is a mistake waiting to happen.
    (r"/.*", r"invalid type: floating point `-?\d+\.0`, expected .*"),
]

answers: defaultdict[str, Counter] = defaultdict(Counter)
turns: Counter = Counter()


@schemathesis.auth(refresh_interval=None)
class Signed:
    """Requests are made by the role's account; those that would end it by one that may be ended."""

    def get(self, case, context):
        if ROLE == "anonymous":
            return None
        return (SHOP.new_account(ROLE) if id_of(case) in USES_UP_ITS_CALLER else caller()).authorization

    def set(self, case, data, context):
        if data is not None:
            case.headers = {**(case.headers or {}), "Authorization": data}


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = id_of(case)
    if operation not in PROVIDERS or (case.meta and not case.meta.generation.mode.is_positive):
        return
    turns[operation] += 1
    if turns[operation] % 2 == 1 or operation in NEVER_AS_GENERATED:
        PROVIDERS[operation](case)


@schemathesis.hook
def after_call(context, case, response):
    answers[id_of(case)][response.status_code] += 1


@schemathesis.hook
def filter_failure(context, failure, case, response):
    if failure.title == "SSE event violates schema":
        # OpenAPI 3.1 can say that a stream is text, and only 3.2 what its events are; the check takes one for the other.
        return False
    if type(failure).__name__ != "RejectedPositiveData":
        return True
    problem = response.json()
    reasons = [(error["pointer"], error["detail"]) for error in problem["errors"]]
    beyond = problem["code"] in CODES or (reasons and all(map(is_rule, reasons)))
    return not beyond


def is_rule(reason):
    pointer, detail = reason
    return any(re.fullmatch(where, pointer, re.DOTALL) and re.fullmatch(why, detail) for where, why in REASONS)


@atexit.register
def write_answers():
    with open(ANSWERS, "w") as file:
        json.dump({operation: dict(counts) for operation, counts in answers.items()}, file)


def id_of(case):
    return case.operation.definition.raw.get("operationId")


def caller():
    return SHOP.account(ROLE)


def orderer():
    """Who owns the orders that this role asks for: itself, if it is a customer."""
    return SHOP.account("customer") if ROLE == "anonymous" else caller()


def order_in(status):
    def provide(case):
        case.path_parameters = {"order_id": SHOP.new_order(orderer(), status)["id"]}

    return provide


def money_for(status, **more):
    def provide(case):
        order = SHOP.new_order(orderer(), status)
        case.path_parameters = {"order_id": order["id"]}
        case.body = {"reference": SHOP.unique(), "amount": order["total"], **more}

    return provide


def product(case):
    made = SHOP.new_product()
    case.path_parameters = {"product": made["id"]}
    return made


def product_version(case):
    made = product(case)
    case.headers = {**(case.headers or {}), "If-Match": f'"{made["version"]}"'}


def adjustment(case):
    product(case)
    case.headers = {**(case.headers or {}), **fresh_key()}
    case.body = {"delta": 7, "reason": "counted"}


def new_product(case):
    name = f"product-{SHOP.unique()}"
    price = {"amount": 1000, "currency": "USD"}
    case.body = {"sku": name, "slug": name, "name": name, "description": "", "price": price, "attributes": {}}


def category(case):
    case.path_parameters = {"category": SHOP.new_category()["id"]}
    # Its version, if one is given, would be another's.
    case.headers = {name: value for name, value in (case.headers or {}).items() if name.lower() != "if-match"}


def new_order(case):
    items = [{"product_id": SHOP.new_product()["id"], "quantity": 1}]
    case.headers = {**(case.headers or {}), **fresh_key()}
    address = SHOP.new_address(caller()) if ROLE != "anonymous" else {"id": None}
    case.body = {"items": items, "address_id": address["id"]}


def address(case):
    owner = orderer()
    case.path_parameters = {"address_id": SHOP.new_address(owner)["id"]}


def user(case):
    case.path_parameters = {"user_id": SHOP.new_user()["id"]}


def registration(case):
    case.body = {"email": f"{SHOP.unique()}@schemathesis.test", "password": PASSWORD, "display_name": "A User"}


def login(case):
    account = SHOP.account("customer")
    case.body = {"email": account.email, "password": account.password}


def refresh(case):
    case.body = {"refresh_token": SHOP.new_account().refresh_token}


def new_password(case):
    case.body = {"current_password": PASSWORD, "new_password": "another that nobody guesses"}


def notice(case):
    case.body, signature = payment_notice(SHOP.new_order(SHOP.account("customer"), "reserved"))
    case.headers = {**(case.headers or {}), "X-Shop-Signature": signature}


def first_page(case):
    case.query = {name: value for name, value in (case.query or {}).items() if name == "limit"}


USES_UP_ITS_CALLER = {"delete_me", "change_password"}
# Ids are learnt from answers, too. The stream of an order that goes on has no end to be waited for; and a user who is
# disabled or made a customer may be the one who tries, or who prepares.
NEVER_AS_GENERATED = {"watch_order", "update_user"}
PROVIDERS = {
    "register": registration,
    "login": login,
    "refresh": refresh,
    "change_password": new_password,
    "update_address": address,
    "delete_address": address,
    "list_addresses": first_page,
    "get_user": user,
    "update_user": user,
    "list_users": first_page,
    "list_products": first_page,
    "get_category": category,
    "update_category": category,
    "delete_category": category,
    "get_product": product,
    "get_availability": product,
    "get_inventory": product,
    "create_product": new_product,
    "update_product": product_version,
    "archive_product": product_version,
    "adjust_inventory": adjustment,
    "create_order": new_order,
    "list_orders": first_page,
    "get_order": order_in("reserved"),
    "list_order_history": order_in("reserved"),
    "watch_order": order_in("cancelled"),
    "cancel_order": order_in("reserved"),
    "record_payment": money_for("reserved"),
    "ship_order": order_in("paid"),
    "deliver_order": order_in("shipped"),
    "refund_order": money_for("shipped", restock=True),
    "receive_payment_webhook": notice,
}
