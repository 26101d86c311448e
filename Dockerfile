# syntax=docker/dockerfile:1
#
# sd-worker alone, for a pod whose WebUI runs in another container or is added to this image:
#
#     docker build -t sd-worker .
#
# Dockerfile.webui and Dockerfile.forge have a WebUI, too. To put the program into an image of your own that has one,
# copy it there. The program needs glibc 2.31 or later (Debian 11, Ubuntu 20.04) and the package ca-certificates:
#
#     FROM your/image-with-a-webui
#     COPY --from=sd-worker /usr/local/bin/sd-worker /usr/local/bin/sd-worker
#     ENV SD_WORKER_WEBUI_COMMAND="python webui.py --api --nowebui --port 3000"
#     ENTRYPOINT ["sd-worker"]

# Debian 11, for its old glibc: a program runs with the glibc it was built against and with later ones.
FROM rust:1.95.0-slim-bullseye AS build
WORKDIR /src
COPY . .
# The caches keep downloaded crates and earlier builds; they do not become part of the image, so the program is
# copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --package sd-worker \
    && install -D target/release/sd-worker /out/sd-worker

FROM debian:bookworm-slim
# RunPod is reached over HTTPS, and the worker trusts the system's certificates.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/sd-worker /usr/local/bin/sd-worker
# The worker needs no rights of root. A journal on the network volume needs a folder that this user may write to.
USER 65534:65534
# No shell in between: the worker itself gets SIGTERM, finishes its job and exits.
ENTRYPOINT ["/usr/local/bin/sd-worker"]
