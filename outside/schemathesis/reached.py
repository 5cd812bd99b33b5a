"""reached.py <openapi.json's URL> <answers…>: fails unless every operation was answered 2xx in some role's run."""

import json
import sys
import urllib.request
from collections import Counter

with urllib.request.urlopen(sys.argv[1]) as answer:
    document = json.load(answer)
operations = [
    operation["operationId"]
    for item in document["paths"].values()
    for operation in item.values()
    if isinstance(operation, dict) and "operationId" in operation
]
# By which the document is had: Schemathesis leaves it out, and just now it was answered.
reached = Counter(get_openapi=1)
requests = 0
for name in sys.argv[2:]:
    with open(name) as file:
        for operation, statuses in json.load(file).items():
            requests += sum(statuses.values())
            reached[operation] += sum(count for status, count in statuses.items() if status.startswith("2"))
missed = [operation for operation in operations if not reached[operation]]
print(f"{requests} requests to {len(operations)} operations; least often answered 2xx:")
for operation in sorted(operations, key=lambda operation: reached[operation])[:5]:
    print(f"  {operation}: {reached[operation]}")
if missed:
    sys.exit(f"never answered 2xx: {', '.join(missed)}")
