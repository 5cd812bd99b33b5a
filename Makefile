# Everything a person types. `make help` lists it; each target prepares what it needs.

# Build output stays outside the checkout, so that a fresh clone does not rebuild the world.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/shop
export CARGO_TARGET_DIR ?= $(CACHE)/target
BUF_VERSION := 1.75.0
BUF := $(CACHE)/buf-$(BUF_VERSION)/node_modules/.bin/buf
DENY_VERSION := 0.20.2
DENY := $(CACHE)/cargo-deny-$(DENY_VERSION)/bin/cargo-deny
# As tools/consul/go.mod names it.
CONSUL_VERSION := 1.20.1
CONSUL := $(CACHE)/consul-$(CONSUL_VERSION)/bin/consul
# What the operator's tests start: in the folder that the script names, or `none` where they can't be built.
KUBERNETES_TOOLS := etcd kube-apiserver kube-controller-manager kubectl
KUBERNETES = $(or $(SHOP_TEST_KUBERNETES),$(shell folder=$$(./e2e/cluster/tools/build); \
    command -v go >/dev/null || [ -x $$folder/kube-controller-manager ] || folder=none; echo $$folder))
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
# Programs that others wrote, each set of versions in a folder of its own.
pins = $(CACHE)/outside-$(1)-$(shell sha256sum $(2) | cut -c 1-12)
export OUTSIDE_NODE := $(call pins,node,outside/package-lock.json)
export OUTSIDE_PYTHON := $(call pins,python,outside/requirements.txt)
# As `make test` builds it: with what tests need of the libraries, so that nothing is built twice.
export SHOP_BINARY := $(CARGO_TARGET_DIR)/debug/shop
# Those that keep data: their tests run on each engine. They stand in the target `engines` of each, and in modules of that
# name where they test what is not public.
DATABASE_CRATES := shop-storage shop-user shop-product shop-order

.DEFAULT_GOAL := help
.PHONY: help setup run audit load bench release test test-engines schemas schemas-here consul lint buf-lint deny doc generate ci images containers compose compose-down compose-test alerts outside-test clients-test browser-test schemathesis outside-shop cluster cluster-down cluster-test e2e kubernetes fleet-test charts deploy next-images

help: ## This list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: ## Check for what the build needs, and install it on Debian (says what)
	@./setup

run: setup ## A whole shop on http://127.0.0.1:8080, data in ./shop-data (arguments: make run ARGS="--no-demo")
	@cargo run --quiet --package shop-standalone --bin shop -- up $(ARGS)

audit: setup ## Check that all data of ./shop-data adds up, beside a running shop or after it
	@cargo run --quiet --package shop-standalone --bin shop -- audit $(ARGS)

load: setup ## Put a load on a running shop (arguments: make load ARGS="--rate 200", --help lists them)
	@cargo run --quiet --profile image --package shop-bench --bin load -- $(ARGS)

bench: release ## What the shop costs, against floors and gates; some three minutes of the whole machine (ARGS=--help)
	@$(CARGO_TARGET_DIR)/release/bench $(ARGS)

release: setup ## The same binaries, optimised, in $$CARGO_TARGET_DIR/release
	cargo build --release --workspace --bins

test: ## Unit tests, services over gRPC, the whole over HTTP, crashes; what keeps data on each engine
	@./setup test
	@$(MAKE) --no-print-directory consul kubernetes
	@SHOP_TEST_KUBERNETES=$(KUBERNETES) ./test-servers $(MAKE) --no-print-directory test-engines

# Everything on SQLite, whole shops one after the other since each takes all of the machine; then what keeps data once
# more on each server that could be started. The last lines say which could not. Always the whole workspace: a selection
# of packages has other features, and would build everything again.
test-engines:
	cargo test --workspace --all-features --lib --bins --test it --test engines -- --skip many::
	cargo test --workspace --all-features --test system -- --test-threads 1 --skip fleet:: --skip hostile::
	@missing=; for engine in PostgreSQL:$$SHOP_TEST_POSTGRES_URL MariaDB:$$SHOP_TEST_MYSQL_URL; do \
	    name=$${engine%%:*}; server=$${engine#*:}; \
	    if [ -z "$$server" ]; then missing="$$missing $$name"; continue; fi; \
	    echo "On $$name: $(DATABASE_CRATES)"; \
	    export SHOP_TEST_DATABASE_SERVER="$$server"; \
	    cargo test --workspace --all-features --lib engines:: || exit 1; \
	    cargo test --workspace --all-features --test engines || exit 1; \
	done; \
	for name in $$missing; do echo "NOT TESTED on $$name, which could not be started: $(DATABASE_CRATES)"; done
	@[ "$$SHOP_TEST_KUBERNETES" != none ] || echo "NOT TESTED with a Kubernetes API server, which there is no Go to build: shop-operator"

fleet-test: ## Many processes, some forty minutes: replicas that come, go and die, outages of Consul and databases, hostile clients, a thousand Shops
	@./setup test
	@$(MAKE) --no-print-directory consul
	cargo test --workspace --all-features --lib --bins --test it --test engines --no-run
	@./test-servers cargo test --workspace --all-features --test system -- --test-threads 1 fleet:: hostile::
	@$(MAKE) --no-print-directory kubernetes
	SHOP_TEST_KUBERNETES=$(KUBERNETES) cargo test --workspace --all-features --test it many::

images: setup containers ## An image of each process, from binaries built here (IMAGE_REGISTRY, IMAGE_TAG, IMAGE_BASE, IMAGE_PROFILE=release)
	@./images/build

next-images: images ## Images of later versions, which tests upgrade to
	@./e2e/images/build

containers:
	@./setup containers

compose: ## A shop of many processes by compose.yaml, on a Docker that has the images; secrets in .env
	@./e2e/compose/secrets .env
	@$(COMPOSE) up --detach

compose-down: ## Stop it; its data stays in volumes (ARGS=--volumes deletes them)
	@$(COMPOSE) down --timeout 60 $(ARGS)

compose-test: images consul ## Start compose.yaml for real, buy something, kill replicas, take it away again
	@archive=$$(./images/stand-ins) && CONSUL_IMAGE=localhost/consul:1.20.1 POSTGRES_IMAGE=localhost/postgres:15 \
	    ./images/with-docker sh -ec 'docker load --quiet --input "$$1" >/dev/null; exec ./e2e/compose/test' sh "$$archive"

cluster: containers consul ## A Kubernetes for tests: what KUBECONFIG names, or a node on this machine; prints its kubeconfig
	@./setup cluster
	@./e2e/cluster/up

cluster-down: ## Take it away: no process, mount, interface or rule stays
	@./e2e/cluster/down

cluster-test: containers consul ## Bring the node up, use it, take it away, and compare the machine with what it was
	@./setup cluster
	@./e2e/cluster/test

e2e: next-images consul ## Tests on a cluster of their own, some fifteen minutes (ARGS=filter for some of them; KUBECONFIG for another cluster)
	@./setup cluster
	@./e2e/run $(ARGS)

# A node of this machine's own is given the images that were made; another cluster has them from elsewhere.
deploy: $(if $(filter-out $(CACHE)/cluster/kubeconfig,$(KUBECONFIG)),,images) cluster ## The operator, Consul and examples/smallest.yaml on the cluster of `make cluster`, by Helm (NAMESPACE=shop)
	@./e2e/cluster/deploy $(or $(NAMESPACE),shop)

charts: ## Lint the charts, and have a real API server try what they render, and the examples
	@./charts/check

kubernetes: ## The API server and its kin that tests start, unless they are built or there is no Go
	@[ "$(KUBERNETES)" = none ] || ./e2e/cluster/tools/build $(KUBERNETES_TOOLS) >/dev/null

consul: $(if $(SHOP_TEST_CONSUL),,$(CONSUL)) ## The Consul that tests start, unless it is built or SHOP_TEST_CONSUL names one

outside-test: clients-test browser-test schemathesis ## The next three: the shop seen from outside

clients-test: outside-shop $(OUTSIDE_NODE) $(OUTSIDE_PYTHON) ## Clients generated by two public generators buy something
	./outside/with-shop ./outside/clients/test

browser-test: outside-shop $(OUTSIDE_NODE) ## Chromium uses /docs without a network (SCREENSHOT=file for a picture)
	./outside/loopback-only ./outside/with-shop node outside/browser/docs.mjs

schemathesis: outside-shop $(OUTSIDE_PYTHON) ## Schemathesis tries every operation as each role
	./outside/with-shop ./outside/schemathesis/test

outside-shop:
	@./setup outside
	cargo test --quiet --workspace --all-features --test system --no-run

lint: setup ## Formatting, clippy with warnings denied, the contracts, the alerts
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- --deny warnings
	$(MAKE) --no-print-directory buf-lint
	$(MAKE) --no-print-directory alerts

buf-lint: $(BUF)
	cd proto && $(BUF) lint && $(BUF) format --diff --exit-code

alerts: ## Check the alerts: rules, when they fire, metrics and runbook (promtool is in Debian's prometheus)
	@monitoring/check

deny: $(DENY) ## Licences, sources and duplicates of the dependencies
	$(DENY) check licenses bans sources

doc: ## The code's documentation, warnings denied
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --all-features

generate: setup ## Renew every committed artefact that is generated
	cargo run --quiet --package shop-order -- states > docs/order-states.md.new
	mv docs/order-states.md.new docs/order-states.md
	cargo run --quiet --package shop-gateway -- openapi > services/gateway/openapi.json.new
	mv services/gateway/openapi.json.new services/gateway/openapi.json
	cargo build --quiet --package shop-proto
	cargo run --quiet --package shop-operator -- crd > charts/shop-operator/files/crd.yaml.new
	mv charts/shop-operator/files/crd.yaml.new charts/shop-operator/files/crd.yaml
	cp "$$(ls -t $(CARGO_TARGET_DIR)/debug/build/shop-proto-*/out/descriptor.binpb | head -n 1)" proto/descriptor.binpb
	@SHOP_TEST_RENEW_REFERENCE=1 cargo test --quiet --workspace --all-features --test system configuration::
	@SHOP_TEST_RENEW_SNAPSHOTS=1 cargo test --quiet --package shop-operator --lib as_committed
	@$(MAKE) --no-print-directory schemas

schemas: ## Renew the committed schemas, of the engines that can be started here
	@./setup test
	@SHOP_TEST_RENEW_SCHEMAS=1 ./test-servers $(MAKE) --no-print-directory schemas-here

schemas-here:
	@for server in "" "$$SHOP_TEST_POSTGRES_URL" "$$SHOP_TEST_MYSQL_URL"; do \
	    [ -z "$$server" ] || export SHOP_TEST_DATABASE_SERVER="$$server"; \
	    cargo test --quiet --workspace --all-features --test engines schema:: || exit 1; \
	done

ci: ## What .ci/run does
	./.ci/run

$(OUTSIDE_NODE):
	rm -rf $@.new
	mkdir -p $@.new
	cp outside/package.json outside/package-lock.json $@.new
	npm ci --silent --no-audit --no-fund --prefix $@.new
	mv $@.new $@

# It can't be moved, so the list it was made from is put into it last.
$(OUTSIDE_PYTHON): $(OUTSIDE_PYTHON)/requirements.txt
$(OUTSIDE_PYTHON)/requirements.txt:
	rm -rf $(@D)
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement outside/requirements.txt
	cp outside/requirements.txt $@

$(BUF):
	npm install --silent --no-audit --no-fund --prefix $(CACHE)/buf-$(BUF_VERSION) @bufbuild/buf@$(BUF_VERSION)

# Not optimised: it runs for a second, and would take minutes more to build.
$(DENY):
	cargo install --quiet --debug --locked --no-default-features --root $(CACHE)/cargo-deny-$(DENY_VERSION) cargo-deny@$(DENY_VERSION)

# Takes some minutes, once. The name changes when it is whole: a build that was broken off leaves nothing that looks done.
$(CONSUL):
	@command -v go >/dev/null || { echo "Go is needed to build Consul for the tests: https://go.dev/dl, or name a Consul in SHOP_TEST_CONSUL" >&2; exit 1; }
	@mkdir -p $(@D)
	cd tools/consul && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o $@.new github.com/hashicorp/consul
	@mv $@.new $@
