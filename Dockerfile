# A target per process: docker build --target user --tag ghcr.io/example/shop/user:0.1.0 .
#
# BASE is what the binary stands on: glibc, libgcc, OpenSSL's libraries, certificates and time zones; no shell.
# BINARIES is where it comes from: `source` compiles it here, `prebuilt` takes it from the folder bin/ of the context, as
# `make images` does. BuildKit leaves out the stages that are not used, so neither needs what the other does.
ARG BASE=gcr.io/distroless/cc-debian12:nonroot
ARG BINARIES=source

FROM rust:1.95-bookworm AS source
ARG PROFILE=release
RUN apt-get update && apt-get install --yes --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN cargo build --locked --profile "$PROFILE" --workspace --bins --target-dir /target && \
    mkdir -p /bin-of-shop/state && \
    find "/target/$PROFILE" -maxdepth 1 -type f -executable -exec mv {} /bin-of-shop/ \;

FROM scratch AS prebuilt
COPY bin/ /bin-of-shop/

FROM ${BINARIES} AS binaries

# Whoever runs it may choose another user; the only folder it may write to is /var/lib/shop, where a volume goes.
FROM ${BASE} AS process
COPY --from=binaries --chown=65532:65532 /bin-of-shop/state/ /var/lib/shop/
WORKDIR /var/lib/shop
USER 65532:65532
LABEL org.opencontainers.image.licenses=Apache-2.0

FROM process AS user
COPY --from=binaries /bin-of-shop/shop-user /usr/local/bin/
EXPOSE 5001 9090
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/usr/local/bin/shop-user", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/shop-user"]
CMD ["serve"]

FROM process AS order
COPY --from=binaries /bin-of-shop/shop-order /usr/local/bin/
EXPOSE 5002 9090
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/usr/local/bin/shop-order", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/shop-order"]
CMD ["serve"]

FROM process AS product
COPY --from=binaries /bin-of-shop/shop-product /usr/local/bin/
EXPOSE 5003 9090
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/usr/local/bin/shop-product", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/shop-product"]
CMD ["serve"]

FROM process AS gateway
COPY --from=binaries /bin-of-shop/shop-gateway /usr/local/bin/
EXPOSE 8080 9090
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/usr/local/bin/shop-gateway", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/shop-gateway"]
CMD ["serve"]

# It serves nothing but probes and metrics; Kubernetes is what it speaks to.
FROM process AS operator
COPY --from=binaries /bin-of-shop/shop-operator /usr/local/bin/
EXPOSE 9090
ENTRYPOINT ["/usr/local/bin/shop-operator"]
CMD ["run"]

# All four in one process, on SQLite. It tells of itself on its output; Docker has no way in to ask.
FROM process AS shop
COPY --from=binaries /bin-of-shop/shop /usr/local/bin/
ENV SHOP_LISTEN=0.0.0.0:8080 SHOP_DATA_DIR=/var/lib/shop
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/shop"]
CMD ["up"]
