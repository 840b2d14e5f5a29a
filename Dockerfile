# syntax=docker/dockerfile:1

FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --package posthouse-server --bin posthouse \
    && cp target/dist/posthouse /usr/local/bin/posthouse

FROM debian:bookworm-slim
# Security updates matter more here than the same versions for ever.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/posthouse posthouse
COPY --from=build /usr/local/bin/posthouse /usr/local/bin/posthouse
USER 10001
WORKDIR /var/lib/posthouse
VOLUME /var/lib/posthouse
# Docker lets every user of a container listen on ports below 1024.
EXPOSE 25 465 587 8080
ENTRYPOINT ["posthouse"]
CMD ["serve", "--config", "/etc/posthouse/posthouse.toml"]
